# TinyViT: width 192, 8 blocks, patch 8, 3.7 M parameters, pretrained without labels on random
# streets under random looks. Its weights come with the package: docs/background/model-card.md.
encoder = dict(
    name='TinyViT',
    type='TinyViT',
    checkpoint='package:tiny_vit.safetensors')
