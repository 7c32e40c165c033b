# DDRNet-23, trained on ImageNet by its authors; the file is mmseg's copy of it.
encoder = dict(
    name='DDRNet-23',
    type='DualResNet',
    arch='23',
    checkpoint='checkpoints/ddrnet23-in1kpre_3rdparty-9ca29f62.pth',
    checkpoint_url='https://mmassets.onedl.ai/mmsegmentation/v0.5/ddrnet/pretrain/ddrnet23-in1kpre_3rdparty-9ca29f62.pth')
