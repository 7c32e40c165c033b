# SAM's encoder at ViT-H (Kirillov et al., ICCV 2023); other image sizes resize its positions.
encoder = dict(
    name='SAM-H',
    type='SAMViT',
    arch='huge',
    img_size=1024,
    checkpoint='checkpoints/sam_vit_h_4b8939.pth',
    checkpoint_url='https://dl.fbaipublicfiles.com/segment_anything/sam_vit_h_4b8939.pth')
