# A linear head on a frozen tiny ViT, the embedded binary benchmark. Two cores, 1 minute.
#   python tools/train.py configs/frozen_tiny_blobs.py
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/linear.py',
    './_base_/benchmarks/blobs.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(encoder={{_base_.encoder}}, peft=dict(type='Frozen')),
    decode_head={{_base_.decode_head}})
