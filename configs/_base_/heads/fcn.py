# FCN (Long et al., CVPR 2015) on the last map, from mmsegmentation.
# It takes no queries: with Rein set peft.link_to_queries=False.
decode_head = dict(
    type='FCNHead',
    channels=512,
    num_convs=2,
    dropout_ratio=0.1,
    norm_cfg=dict(type='GN', num_groups=32),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
