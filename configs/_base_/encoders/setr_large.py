# SETR's ViT-L/16 (Zheng et al., CVPR 2021) for crops of 768, from timm's ImageNet weights; outputs of
# its blocks 10, 15, 20 and 24.
encoder = dict(
    name='SETR ViT-L',
    type='SETRViT',
    arch='large',
    img_size=768,
    out_indices=[9, 14, 19, 23],
    checkpoint='checkpoints/jx_vit_large_p16_384-b3be5167.pth',
    checkpoint_url='https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-vitjx/jx_vit_large_p16_384-b3be5167.pth')
