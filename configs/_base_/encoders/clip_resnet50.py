# CLIP ResNet-50 (Radford et al., 2021): the image tower with dense attention pooling into the space
# that it shares with text, for images normalised as in its pretraining. The file holds the text
# tower, too. Heads that read maps alone: joint_dims=None.
encoder = dict(
    name='CLIP-RN50',
    type='CLIPResNet',
    arch='rn50',
    img_size=512,
    joint_dims=1024,
    mean=(122.771, 116.746, 104.094),
    std=(68.501, 66.632, 70.323),
    checkpoint='checkpoints/RN50.pt',
    checkpoint_url='https://openaipublic.azureedge.net/clip/models/afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt')
