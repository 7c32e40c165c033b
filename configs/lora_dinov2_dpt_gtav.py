# LoRA on DINOv2-L with DPT, GTAV -> urban scenes. No published score found.
#   python tools/train.py configs/lora_dinov2_dpt_gtav.py
_base_ = [
    './_base_/encoders/dinov2_large.py', './_base_/heads/dpt.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='LoRA')),
    decode_head={{_base_.decode_head}})
