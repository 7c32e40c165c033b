# CASTformer's generator behind an encoder of four maps (You et al., NeurIPS 2022; no code published):
# class-aware tokens and a transformer at each level, SegFormer's decoder at 1/4, half CE and half Dice.
# The width 256 and 8 heads are ours. Grids and out_size are for 224 x 224.
neck = dict(type='CATNeck', grids=(28, 28, 28, 14), embed_dims=256, num_heads=8, depth=12, out_size=56)
decode_head = dict(
    type='SegformerHead',
    channels=256,
    dropout_ratio=0.1,
    norm_cfg=dict(type='BN'),
    loss_decode=[
        dict(type='CrossEntropyLoss', loss_weight=0.5, avg_non_ignore=True),
        dict(type='BatchDiceLoss', loss_weight=0.5)])
