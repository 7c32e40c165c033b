# Non-local networks (Wang et al., CVPR 2018) on the last map, from mmsegmentation.
# It takes no queries: with Rein set peft.link_to_queries=False.
decode_head = dict(
    type='NLHead',
    channels=512,
    reduction=2,
    use_scale=True,
    mode='embedded_gaussian',
    dropout_ratio=0.1,
    norm_cfg=dict(type='GN', num_groups=32),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
