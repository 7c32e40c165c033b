# HLG's head (Zhang et al., arXiv 2207.09339), and the FCN head of its recipe on the map before the last.
decode_head = dict(
    type='HLGHead',
    channels=512,
    dropout_ratio=0.1,
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
auxiliary_head = dict(
    type='FCNHead',
    in_index=2,
    channels=256,
    num_convs=1,
    concat_input=False,
    dropout_ratio=0.1,
    norm_cfg=dict(type='BN'),
    loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4, avg_non_ignore=True))
