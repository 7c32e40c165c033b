# CASTformer's neck and decoder on a frozen tiny ViT, beside frozen_tiny_miniscapes.py. Two cores, minutes.
#   python tools/train.py configs/frozen_tiny_cat_miniscapes.py
# mIoU 25.9 on the source, 22.8 on targets; with the linear head 33.3, 29.9.
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/castformer.py',
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Frozen')),
    # all four maps are 16 x 32: tokens read between their pixels, so no pyramid stands in front
    neck={
        **_base_.neck, 'grids': ((16, 32), (16, 32), (16, 32), (8, 16)), 'embed_dims': 64,
        'num_heads': 4, 'depth': 2, 'out_size': (32, 64)},
    decode_head={**_base_.decode_head, 'channels': 64})
