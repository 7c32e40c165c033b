# DDRNet-39, trained on ImageNet by its authors, who link the file from https://github.com/ydhongHIT/DDRNet:
# no address to download it from by itself.
encoder = dict(
    name='DDRNet-39',
    type='DualResNet',
    arch='39',
    checkpoint='checkpoints/DDRNet39_imagenet.pth')
