# MaskFormer small enough for two CPU cores: 20 queries of width 64, 3 layers; see maskformer.py. Names pass
# the encoder's own text tower. The maps of a plain transformer keep its stride, but the first, since the
# queries read the last alone.
neck = dict(type='TokenPyramid', factors=(2, 1, 1, 1))
text_branch = dict(type='ClassTable')
decode_head = dict(
    type='MaskFormerHead',
    embed_dims=64,
    mask_dims=64,
    embed_hidden_dims=128,
    num_queries=20,
    num_layers=3,
    num_heads=4,
    feedforward_channels=256,
    dropout=0.0,
    norm_groups=8)
