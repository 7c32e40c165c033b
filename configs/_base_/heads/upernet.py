# UPerNet (Xiao et al., ECCV 2018) on a pyramid of the encoder's token maps.
# It takes no queries: with Rein set peft.link_to_queries=False.
neck = dict(type='TokenPyramid', factors=(4, 2, 1, 0.5), out_channels=256)
decode_head = dict(
    type='UPerHead',
    pool_scales=(1, 2, 3, 6),
    channels=256,
    dropout_ratio=0.1,
    norm_cfg=dict(type='GN', num_groups=32),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
