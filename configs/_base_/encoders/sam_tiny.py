# A tiny SAM encoder for demonstrations and tests: width 128, 6 blocks, patch 8.
encoder = dict(
    name='SAM-Ti/8 (random)',
    type='SAMViT',
    arch=dict(
        embed_dims=128, num_layers=6, num_heads=4, feedforward_channels=512,
        global_attn_indexes=[2, 5]),
    img_size=128,
    patch_size=8,
    window_size=7,
    out_indices=[5],
    neck=True,
    neck_channels=128,
    init_seed=0)
