# ResNet-50 v1c with dilated last stages (strides 4, 8, 8, 8), as Rein uses it.
encoder = dict(
    name='ResNet-50',
    type='mmseg.ResNetV1c',
    depth=50,
    num_stages=4,
    out_indices=[0, 1, 2, 3],
    dilations=[1, 1, 2, 4],
    strides=[1, 2, 1, 1],
    norm_cfg=dict(type='BN', requires_grad=True),
    norm_eval=True,
    style='pytorch',
    contract_dilation=True,
    checkpoint='checkpoints/resnet50_v1c-2cccc1ad.pth',
    checkpoint_url='https://download.openmmlab.com/pretrain/third_party/resnet50_v1c-2cccc1ad.pth')
