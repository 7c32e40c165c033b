# ResNet-50 of torchvision, strides 4 to 32; norms keep the statistics of ImageNet.
encoder = dict(
    name='ResNet-50',
    type='mmpretrain.ResNet',
    depth=50,
    out_indices=[0, 1, 2, 3],
    norm_eval=True,
    checkpoint='checkpoints/resnet50-0676ba61.pth',
    checkpoint_url='https://download.pytorch.org/models/resnet50-0676ba61.pth')
