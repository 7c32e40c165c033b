# DenseCLIP on TinyCLIP with LoRA, the embedded benchmark, all classes labelled. Two cores, about 3 minutes.
#   python tools/train.py configs/dense_clip_tiny_miniscapes.py
_base_ = [
    './_base_/encoders/tinyclip.py',
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='LoRA')),
    text=dict(type='SharedContext'),
    neck=dict(
        type='PixelTextNeck', factors=(2, 1, 1, 0.5), out_channels=64, embed_dims=64),
    decode_head=dict(
        type='FPNHead', feature_strides=[4, 8, 8, 16], channels=64, dropout_ratio=0.0,
        norm_cfg=dict(type='GN', num_groups=8)),
    auxiliary_head=dict(type='IdentityHead'))
