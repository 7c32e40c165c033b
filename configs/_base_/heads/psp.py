# PSPNet (Zhao et al., CVPR 2017) on the last map, from mmsegmentation.
# It takes no queries: with Rein set peft.link_to_queries=False.
decode_head = dict(
    type='PSPHead',
    channels=512,
    pool_scales=(1, 2, 3, 6),
    dropout_ratio=0.1,
    norm_cfg=dict(type='GN', num_groups=32),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
