# DDRNet-23-slim, trained on ImageNet by its authors; the file is mmseg's copy of it.
encoder = dict(
    name='DDRNet-23-slim',
    type='DualResNet',
    arch='23_slim',
    checkpoint='checkpoints/ddrnet23s-in1kpre_3rdparty-1ccac5b1.pth',
    checkpoint_url='https://mmassets.onedl.ai/mmsegmentation/v0.5/ddrnet/pretrain/ddrnet23s-in1kpre_3rdparty-1ccac5b1.pth')
