# ResNet-50 of torchvision, ImageNet-1k, strides 4 to 32.
encoder = dict(
    name='ResNet-50, torchvision',
    type='mmpretrain.ResNet',
    depth=50,
    out_indices=[0, 1, 2, 3],
    style='pytorch',
    checkpoint='checkpoints/resnet50-0676ba61.pth',
    checkpoint_url='https://download.pytorch.org/models/resnet50-0676ba61.pth')
