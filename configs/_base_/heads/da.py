# DANet (Fu et al., CVPR 2019) on the last map, from mmsegmentation.
# It takes no queries: with Rein set peft.link_to_queries=False.
decode_head = dict(
    type='DAHead',
    channels=512,
    pam_channels=64,
    dropout_ratio=0.1,
    norm_cfg=dict(type='GN', num_groups=32),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
