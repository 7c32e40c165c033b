# Rein on EVA02-L, GTAV -> urban scenes. Published mIoU: Cityscapes 65.3, BDD100K 60.5,
# Mapillary 64.9, mean 63.6.
#   python tools/train.py configs/rein_eva02_gtav.py
_base_ = [
    './_base_/encoders/eva02_large.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
