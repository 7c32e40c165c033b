# CLIP ViT-B/16 (Radford et al., 2021): the image tower with the space that it shares with text, for
# images normalised as in its pretraining. The file holds the text tower, too.
encoder = dict(
    name='CLIP-B',
    type='CLIPViT',
    arch='base',
    img_size=512,
    patch_size=16,
    out_indices=[3, 5, 7, 11],
    joint_dims=512,
    class_embedding_twice=True,
    mean=(122.771, 116.746, 104.094),
    std=(68.501, 66.632, 70.323),
    checkpoint='checkpoints/ViT-B-16.pt',
    checkpoint_url='https://openaipublic.azureedge.net/clip/models/5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f/ViT-B-16.pt')
