# CLIP ResNet-101 (Radford et al., 2021): the image tower with dense attention pooling into the space
# that it shares with text, for images normalised as in its pretraining. The file holds the text
# tower, too. Heads that read maps alone: joint_dims=None.
encoder = dict(
    name='CLIP-RN101',
    type='CLIPResNet',
    arch='rn101',
    img_size=512,
    joint_dims=512,
    mean=(122.771, 116.746, 104.094),
    std=(68.501, 66.632, 70.323),
    checkpoint='checkpoints/RN101.pt',
    checkpoint_url='https://openaipublic.azureedge.net/clip/models/8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599/RN101.pt')
