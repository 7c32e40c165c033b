# DeepLabV3+ (Chen et al., ECCV 2018): atrous pooling at stride 16, details from stride 4, from mmsegmentation.
# It takes no queries: with Rein set peft.link_to_queries=False.
neck = dict(type='TokenPyramid', factors=(4, 2, 1, 1), out_channels=256)
decode_head = dict(
    type='DepthwiseSeparableASPPHead',
    channels=512,
    dilations=(1, 6, 12, 18),
    c1_channels=48,
    dropout_ratio=0.1,
    norm_cfg=dict(type='GN', num_groups=16),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
