# PVT-Tiny (Wang et al., ICCV 2021), 12.7 M parameters, ImageNet-1k at 224. drop_path_rate acts only where
# the encoder trains (peft Full).
encoder = dict(
    name='PVT-T',
    type='PVT',
    arch='v1_tiny',
    drop_path_rate=0.1,
    checkpoint='checkpoints/pvt_tiny.pth',
    checkpoint_url='https://github.com/whai362/PVT/releases/download/v2/pvt_tiny.pth')
