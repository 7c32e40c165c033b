# The second stage of zsseg (Xu et al., ECCV 2022): regions through CLIP ViT-B/16 as its authors use it, images
# of 224 and the class embedding once; a pixel belongs to a region above a probability of 0.5.
regions = dict(
    type='RegionCLIP',
    threshold=0.5,
    encoder=dict(
        name='CLIP-B',
        type='CLIPViT',
        arch='base',
        img_size=224,
        patch_size=16,
        out_indices=[11],
        joint_dims=512,
        class_embedding_twice=False,
        mean=(122.7709383, 116.7460125, 104.09373615),
        std=(68.5005327, 66.6321579, 70.32316305),
        checkpoint='checkpoints/ViT-B-16.pt',
        checkpoint_url='https://openaipublic.azureedge.net/clip/models/5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f/ViT-B-16.pt'))
