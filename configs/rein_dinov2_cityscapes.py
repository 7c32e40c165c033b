# Rein on DINOv2-L, Cityscapes -> BDD100K, Mapillary Vistas; no published score of Rein found.
#   python tools/train.py configs/rein_dinov2_cityscapes.py
_base_ = [
    './_base_/encoders/dinov2_large.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/cityscapes_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
