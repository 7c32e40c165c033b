# Rein on ConvNeXt-L, one module a stage, GTAV -> urban scenes. Published mIoU: Cityscapes 57.9.
#   python tools/train.py configs/rein_convnext_gtav.py
_base_ = [
    './_base_/encoders/convnext_large.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
