# Rein on DINOv2-L with FCN, beside rein_dinov2_gtav.py. No published score found.
#   python tools/train.py configs/rein_dinov2_fcn_gtav.py
_base_ = [
    './_base_/encoders/dinov2_large.py', './_base_/heads/fcn.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein', link_to_queries=False)),
    decode_head={{_base_.decode_head}})
