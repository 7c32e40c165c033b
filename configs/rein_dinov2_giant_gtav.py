# Rein on DINOv2-g, beside rein_dinov2_gtav.py. No published score found.
#   python tools/train.py configs/rein_dinov2_giant_gtav.py
_base_ = [
    './_base_/encoders/dinov2_giant.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
