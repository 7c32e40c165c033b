# A small PVTv2 from random weights, trained whole with a narrow Semantic FPN, on the embedded benchmark.
#   python tools/train.py configs/full_pvt_miniscapes.py
# mIoU 25.9 on the source, 15.4 on targets.
_base_ = [
    './_base_/encoders/pvt_v2_random.py', './_base_/heads/semantic_fpn.py',
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    neck=dict({{_base_.neck}}, out_channels=64),
    decode_head=dict({{_base_.decode_head}}, channels=64, norm_cfg=dict(type='BN')))
