# SETR's ViT-B/16 for crops of 768, from the distilled DeiT-B (Touvron et al., ICML 2021).
encoder = dict(
    name='SETR DeiT-B',
    type='SETRViT',
    arch='base',
    img_size=768,
    checkpoint='checkpoints/deit_base_distilled_patch16_384-d0272ac0.pth',
    checkpoint_url='https://dl.fbaipublicfiles.com/deit/deit_base_distilled_patch16_384-d0272ac0.pth')
