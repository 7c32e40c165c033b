# EoMT small enough for two CPU cores: 40 queries in the last three blocks.
decode_head = dict(
    type='EoMTHead',
    num_queries=40,
    num_blocks=3,
    loss=dict(num_points=2048))
