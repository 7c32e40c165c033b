# CLIP ResNet-50x4 (Radford et al., 2021): the image tower with dense attention pooling into the space
# that it shares with text, for images normalised as in its pretraining. The file holds the text
# tower, too. Heads that read maps alone: joint_dims=None.
encoder = dict(
    name='CLIP-RN50x4',
    type='CLIPResNet',
    arch='rn50x4',
    img_size=512,
    joint_dims=640,
    mean=(122.771, 116.746, 104.094),
    std=(68.501, 66.632, 70.323),
    checkpoint='checkpoints/RN50x4.pt',
    checkpoint_url='https://openaipublic.azureedge.net/clip/models/7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd/RN50x4.pt')
