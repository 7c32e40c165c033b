# CLIP ResNet-50x16 (Radford et al., 2021): the image tower with dense attention pooling into the space
# that it shares with text, for images normalised as in its pretraining. The file holds the text
# tower, too. Heads that read maps alone: joint_dims=None.
encoder = dict(
    name='CLIP-RN50x16',
    type='CLIPResNet',
    arch='rn50x16',
    img_size=512,
    joint_dims=768,
    mean=(122.771, 116.746, 104.094),
    std=(68.501, 66.632, 70.323),
    checkpoint='checkpoints/RN50x16.pt',
    checkpoint_url='https://openaipublic.azureedge.net/clip/models/52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa/RN50x16.pt')
