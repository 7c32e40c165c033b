# DenseCLIP (Rao et al., CVPR 2022): words with a learned context look at the image; their scores for
# each pixel go into an FPN with Semantic FPN's head, and train as logits, too.
text_branch = dict(type='SharedContext')
neck = dict(type='PixelTextNeck', out_channels=256)
decode_head = dict(
    type='FPNHead',
    feature_strides=[4, 8, 16, 32],
    channels=256,
    dropout_ratio=0.1,
    norm_cfg=dict(type='SyncBN', requires_grad=True))
auxiliary_head = dict(type='IdentityHead')
