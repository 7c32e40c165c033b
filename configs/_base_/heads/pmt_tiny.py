# PMT small enough for two CPU cores: 40 queries in three blocks.
decode_head = dict(
    type='PMTHead',
    num_queries=40,
    num_blocks=3,
    loss=dict(num_points=2048))
