# A small PVTv2 with random weights, 2.3 M parameters, to be trained whole (peft Full) on two CPU cores:
# the widths of B0, five blocks, narrow feed-forwards.
encoder = dict(
    name='PVTv2, small, random',
    type='PVT',
    arch=dict(
        version='v2', embed_dims=[32, 64, 160, 256], num_heads=[1, 2, 5, 8],
        mlp_ratios=[4, 4, 4, 4], depths=[1, 1, 2, 1]),
    init_seed=0)
