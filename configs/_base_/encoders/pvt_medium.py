# PVT-Medium (Wang et al., ICCV 2021), 43.7 M parameters, ImageNet-1k at 224. drop_path_rate acts only where
# the encoder trains (peft Full).
encoder = dict(
    name='PVT-M',
    type='PVT',
    arch='v1_medium',
    drop_path_rate=0.1,
    checkpoint='checkpoints/pvt_medium.pth',
    checkpoint_url='https://github.com/whai362/PVT/releases/download/v2/pvt_medium.pth')
