# PVT-Small (Wang et al., ICCV 2021), 24.0 M parameters, ImageNet-1k at 224. drop_path_rate acts only where
# the encoder trains (peft Full).
encoder = dict(
    name='PVT-S',
    type='PVT',
    arch='v1_small',
    drop_path_rate=0.1,
    checkpoint='checkpoints/pvt_small.pth',
    checkpoint_url='https://github.com/whai362/PVT/releases/download/v2/pvt_small.pth')
