# CLIP ViT-L (Radford et al., 2021), image tower alone, at patch 16, as Rein uses it.
# Images are normalised as ImageNet's, as in Rein. CLIP's own numbers, from pretraining, would be
# mean=(122.771, 116.746, 104.094), std=(68.501, 66.632, 70.323).
encoder = dict(
    name='CLIP-L',
    type='CLIPViT',
    arch='large',
    img_size=512,
    patch_size=16,
    class_embedding_twice=True,
    checkpoint='checkpoints/ViT-L-14.pt',
    checkpoint_url='https://openaipublic.azureedge.net/clip/models/b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt')
