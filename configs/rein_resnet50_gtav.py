# Rein on ResNet-50, one module a stage, GTAV -> urban scenes. Published mIoU: Cityscapes 49.1.
#   python tools/train.py configs/rein_resnet50_gtav.py
_base_ = [
    './_base_/encoders/resnet50.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
