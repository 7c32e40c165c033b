# DINOv2 ViT-S (Oquab et al., 2023) at patch 16, as Rein uses it.
encoder = dict(
    name='DINOv2-S',
    type='DINOv2',
    arch='small',
    img_size=512,
    patch_size=16,
    checkpoint='checkpoints/dinov2_vits14_pretrain.pth',
    checkpoint_url='https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth')
