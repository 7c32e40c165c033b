# HLG's head on the four maps of a frozen tiny ViT, the embedded benchmark. Two cores, 3 minutes.
#   python tools/train.py configs/frozen_tiny_hlg_miniscapes.py
# mIoU 40.9 on the source, 36.9 on targets; with the linear head 33.3, 29.9.
_base_ = [
    './_base_/encoders/vit_tiny.py',
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Frozen')),
    decode_head=dict(type='HLGHead', channels=256, interval=4, dropout_ratio=0.0))
