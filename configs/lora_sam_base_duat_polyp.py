# DuAT's decoder on a frozen SAM ViT-B with LoRA, polyps of five hospitals. No published score found.
#   python tools/train.py configs/lora_sam_base_duat_polyp.py
_base_ = [
    './_base_/encoders/sam_base.py', './_base_/heads/duat.py',
    './_base_/benchmarks/polyp_five.py', './_base_/schedules/protocol_epochs.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={**{{_base_.encoder}}, 'img_size': 352},
        peft=dict(type='LoRA')),
    neck=dict(type='TokenPyramid'),
    decode_head={{_base_.decode_head}})
