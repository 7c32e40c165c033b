# DINOv2 ViT-g (Oquab et al., 2023) at patch 16, as Rein uses it.
encoder = dict(
    name='DINOv2-g',
    type='DINOv2',
    arch='giant',
    img_size=512,
    patch_size=16,
    checkpoint='checkpoints/dinov2_vitg14_pretrain.pth',
    checkpoint_url='https://dl.fbaipublicfiles.com/dinov2/dinov2_vitg14/dinov2_vitg14_pretrain.pth')
