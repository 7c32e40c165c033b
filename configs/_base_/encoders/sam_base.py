# SAM's encoder at ViT-B (Kirillov et al., ICCV 2023); other image sizes resize its positions.
encoder = dict(
    name='SAM-B',
    type='SAMViT',
    arch='base',
    img_size=1024,
    checkpoint='checkpoints/sam_vit_b_01ec64.pth',
    checkpoint_url='https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth')
