# CoOp: learned vectors in front of the names of the subtypes, TinyCLIP frozen. Two cores, 1 minute.
#   python tools/train.py configs/coop_tinyclip_minivehicles.py
_base_ = [
    './_base_/encoders/tinyclip.py', './_base_/heads/text_image.py',
    './_base_/benchmarks/minivehicles.py', './_base_/schedules/adamw_tiny_images.py',
    './_base_/runtime.py']
model = dict(
    type='PEFTImageModel',
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Frozen')),
    text=dict(type='CoOp'),
    head={{_base_.head}})
