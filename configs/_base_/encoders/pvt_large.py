# PVT-Large (Wang et al., ICCV 2021), 60.9 M parameters, ImageNet-1k at 224. drop_path_rate acts only where
# the encoder trains (peft Full).
encoder = dict(
    name='PVT-L',
    type='PVT',
    arch='v1_large',
    drop_path_rate=0.1,
    checkpoint='checkpoints/pvt_large.pth',
    checkpoint_url='https://github.com/whai362/PVT/releases/download/v2/pvt_large.pth')
