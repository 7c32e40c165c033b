# DINOv2 ViT-B (Oquab et al., 2023) at patch 16, as Rein uses it.
encoder = dict(
    name='DINOv2-B',
    type='DINOv2',
    arch='base',
    img_size=512,
    patch_size=16,
    checkpoint='checkpoints/dinov2_vitb14_pretrain.pth',
    checkpoint_url='https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth')
