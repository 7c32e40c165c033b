# ResNet-50 with instance norms (IBN-a), ImageNet-1k; last stride 1, as FastReID uses it.
encoder = dict(
    name='IBN-ResNet-50',
    type='IBNResNet',
    depth=50,
    checkpoint='checkpoints/resnet50_ibn_a-d9d0bb7b.pth',
    checkpoint_url='https://github.com/XingangPan/IBN-Net/releases/download/v1.0/resnet50_ibn_a-d9d0bb7b.pth')
