# DINOv2 ViT-L (Oquab et al., 2023) at patch 16, as Rein uses it.
encoder = dict(
    name='DINOv2-L',
    type='DINOv2',
    arch='large',
    img_size=512,
    patch_size=16,
    checkpoint='checkpoints/dinov2_vitl14_pretrain.pth',
    checkpoint_url='https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth')
