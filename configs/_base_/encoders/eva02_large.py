# EVA02-L (Fang et al., 2023) at patch 16, as Rein uses it: ImageNet statistics, bicubic 14 -> 16.
encoder = dict(
    name='EVA02-L',
    type='TimmEncoder',
    model='eva02_large_patch14_224',
    img_size=512,
    patch_size=16,
    out_indices=[7, 11, 15, 23],
    resample='bicubic',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    checkpoint='checkpoints/eva02_L_pt_m38m_p14to16.pt',
    checkpoint_url='hf:Yuxin-CV/EVA-02/eva02/pt/eva02_L_pt_m38m_p14to16.pt')
