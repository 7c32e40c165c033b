# PVTv2-B2 (Wang et al., CVMJ 2022), 24.8 M parameters, ImageNet-1k at 224.
# drop_path_rate acts only where the encoder trains (peft Full).
encoder = dict(
    name='PVTv2-B2',
    type='PVT',
    arch='v2_b2',
    drop_path_rate=0.1,
    checkpoint='checkpoints/pvt_v2_b2.pth',
    checkpoint_url='https://github.com/whai362/PVT/releases/download/v2/pvt_v2_b2.pth')
