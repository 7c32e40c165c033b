# DuAT's decoder on a frozen tiny ViT, the embedded binary benchmark. Two cores, 3 minutes. Beside
# frozen_tiny_blobs.py, which has the linear head; all else is equal.
#   python tools/train.py configs/frozen_tiny_duat_blobs.py
# Dice over 256 levels 68.5 on the source, 47.4 on targets; with a linear head 49.5, 34.1.
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/duat.py',
    './_base_/benchmarks/blobs.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(encoder={{_base_.encoder}}, peft=dict(type='Frozen')),
    neck=dict(type='TokenPyramid'),
    decode_head={{_base_.decode_head}})
