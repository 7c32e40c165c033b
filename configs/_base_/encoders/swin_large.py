# Swin-L (Liu et al., 2021), windows of 12, ImageNet-22k at 384.
encoder = dict(
    name='Swin-L',
    type='Swin',
    arch='large',
    window_size=12,
    out_indices=[0, 1, 2, 3],
    checkpoint='checkpoints/swin_large_patch4_window12_384_22k.pth',
    checkpoint_url='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_large_patch4_window12_384_22k.pth')
