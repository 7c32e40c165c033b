# SAM's encoder at ViT-L (Kirillov et al., ICCV 2023); other image sizes resize its positions.
encoder = dict(
    name='SAM-L',
    type='SAMViT',
    arch='large',
    img_size=1024,
    checkpoint='checkpoints/sam_vit_l_0b3195.pth',
    checkpoint_url='https://dl.fbaipublicfiles.com/segment_anything/sam_vit_l_0b3195.pth')
