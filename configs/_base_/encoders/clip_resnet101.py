# CLIP ResNet-101, as clip_resnet50.py.
_base_ = './clip_resnet50.py'
encoder = dict(
    name='CLIP-RN101',
    arch='rn101',
    checkpoint='checkpoints/RN101.pt',
    checkpoint_url='https://openaipublic.azureedge.net/clip/models/8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599/RN101.pt')
