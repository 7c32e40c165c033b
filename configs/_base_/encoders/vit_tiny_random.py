# A tiny ViT with random weights, drawn from init_seed: width 192, 12 blocks, patch 8, 5.5 M parameters.
# For tests, and to see what pretraining gives: scores say that things work, not how well.
encoder = dict(
    name='ViT-Ti/8 (random)',
    type='mmpretrain.VisionTransformer',
    arch=dict(embed_dims=192, num_layers=12, num_heads=3, feedforward_channels=768),
    img_size=(128, 256),
    patch_size=8,
    out_indices=[2, 5, 8, 11],
    out_type='featmap',
    final_norm=False,
    init_seed=0)
