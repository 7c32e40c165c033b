# Rein on DINOv3 ViT-L, GTAV -> urban scenes. No published score found.
#   python tools/train.py configs/rein_dinov3_gtav.py
_base_ = [
    './_base_/encoders/dinov3_large.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
