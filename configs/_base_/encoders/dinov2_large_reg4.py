# DINOv2 ViT-L with four register tokens (Darcet et al., ICLR 2024) at patch 16.
encoder = dict(
    name='DINOv2-L-reg4',
    type='DINOv2',
    arch='large',
    img_size=512,
    patch_size=16,
    num_registers=4,
    checkpoint='checkpoints/dinov2_vitl14_reg4_pretrain.pth',
    checkpoint_url='https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth')
