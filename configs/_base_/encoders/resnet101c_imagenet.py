# ResNet-101 with a stem of three 3x3 convolutions (v1c), strides 4 to 32; norms keep the statistics of
# ImageNet.
encoder = dict(
    name='ResNet-101c',
    type='mmseg.ResNetV1c',
    depth=101,
    out_indices=[0, 1, 2, 3],
    norm_eval=True,
    checkpoint='checkpoints/resnet101_v1c-e67eebb6.pth',
    checkpoint_url='https://download.openmmlab.com/pretrain/third_party/resnet101_v1c-e67eebb6.pth')
