# ConvNeXt-L (Liu et al., 2022), ImageNet-22k, as Rein uses it.
encoder = dict(
    name='ConvNeXt-L',
    type='mmpretrain.ConvNeXt',
    arch='large',
    out_indices=[0, 1, 2, 3],
    gap_before_final_norm=False,
    layer_scale_init_value=1.0,
    checkpoint='checkpoints/convnext_large_22k_224.pth',
    checkpoint_url='https://dl.fbaipublicfiles.com/convnext/convnext_large_22k_224.pth')
