# The head of SegFormer (Xie et al., NeurIPS 2021) on all maps, from mmsegmentation.
# It takes no queries: with Rein set peft.link_to_queries=False.
decode_head = dict(
    type='SegformerHead',
    channels=256,
    dropout_ratio=0.1,
    norm_cfg=dict(type='GN', num_groups=32),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
