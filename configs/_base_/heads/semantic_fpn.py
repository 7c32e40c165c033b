# Semantic FPN (Kirillov et al., CVPR 2019) on four maps at strides 4, 8, 16, 32, as mmseg has it.
# It takes no queries: with Rein set peft.link_to_queries=False.
neck = dict(type='FPN', out_channels=256, num_outs=4)
decode_head = dict(
    type='FPNHead',
    feature_strides=[4, 8, 16, 32],
    channels=128,
    dropout_ratio=0.1,
    norm_cfg=dict(type='SyncBN', requires_grad=True))
