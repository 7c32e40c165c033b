# A tiny SAM encoder for demonstrations and tests: width 96, 6 blocks, patch 8, 0.9 M parameters.
# Windows of 7 leave a rest of its 16 x 16 grid, so they pad as SAM's do. Random weights, drawn from
# init_seed, that tell textures apart (init_filters): scores say that things work, not how well.
encoder = dict(
    name='SAM-Ti/8 (random)',
    type='SAMViT',
    arch=dict(
        embed_dims=96, num_layers=6, num_heads=3, feedforward_channels=384,
        global_attn_indexes=[2, 5]),
    img_size=128,
    patch_size=8,
    window_size=7,
    out_indices=[5],
    neck=True,
    neck_channels=128,
    init_seed=0,
    init_filters=True)
