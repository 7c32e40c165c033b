# FPT, FTN's head (Wu et al., arXiv 2106.04108), behind an FPN on three maps at strides 8, 16, 32, and the FCN
# head of its recipe on the map at stride 16. Sides of images must be multiples of 32 pixels.
# It takes no queries: with Rein set peft.link_to_queries=False.
neck = dict(type='FPN', out_channels=512, num_outs=3)
decode_head = dict(
    type='FPTHead',
    dropout_ratio=0.1,
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
auxiliary_head = dict(
    type='FCNHead',
    in_index=1,
    channels=256,
    num_convs=1,
    concat_input=False,
    dropout_ratio=0.1,
    norm_cfg=dict(type='BN'),
    loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4, avg_non_ignore=True))
