# CLIP ResNet-50 (Radford et al., 2021) with its attention pool, for images normalised as in its
# pretraining. The file holds the text tower, too.
encoder = dict(
    name='CLIP-RN50',
    type='CLIPResNet',
    arch='rn50',
    img_size=512,
    mean=(122.771, 116.746, 104.094),
    std=(68.501, 66.632, 70.323),
    checkpoint='checkpoints/RN50.pt',
    checkpoint_url='https://openaipublic.azureedge.net/clip/models/afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt')
