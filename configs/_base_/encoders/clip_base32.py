# CLIP ViT-B/32 (Radford et al., 2021) at 224 pixels, as OpenAI's model computes: the class embedding
# once. The file holds the text tower, too.
_base_ = './clip_base.py'
encoder = dict(
    name='CLIP-B32',
    img_size=224,
    patch_size=32,
    class_embedding_twice=False,
    checkpoint='checkpoints/ViT-B-32.pt',
    checkpoint_url='https://openaipublic.azureedge.net/clip/models/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt')
