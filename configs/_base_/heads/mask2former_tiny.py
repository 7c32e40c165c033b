# Mask2Former small enough for two CPU cores: width 128, 3 + 3 layers, 40 queries.
# A method that makes queries is to make 40 of width 128: num_tokens=40, query_dims=128.
decode_head = dict(
    type='Mask2FormerHead',
    feat_channels=128,
    num_queries=40,
    num_heads=4,
    encoder_layers=3,
    decoder_layers=3,
    encoder_hidden=256,
    decoder_hidden=512,
    norm_groups=16,
    loss=dict(num_points=2048))
