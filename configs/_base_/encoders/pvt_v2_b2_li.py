# PVTv2-B2-Li (Wang et al., CVMJ 2022), attention on keys pooled to 7 x 7, 22.0 M parameters, ImageNet-1k at 224.
# drop_path_rate acts only where the encoder trains (peft Full).
encoder = dict(
    name='PVTv2-B2-Li',
    type='PVT',
    arch='v2_b2_li',
    drop_path_rate=0.1,
    checkpoint='checkpoints/pvt_v2_b2_li.pth',
    checkpoint_url='https://github.com/whai362/PVT/releases/download/v2/pvt_v2_b2_li.pth')
