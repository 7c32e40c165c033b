# LoRA on a frozen PVTv2-B2 with Semantic FPN, GTAV -> urban scenes. No published score found.
#   python tools/train.py configs/lora_pvt_v2_b2_gtav.py
_base_ = [
    './_base_/encoders/pvt_v2_b2.py', './_base_/heads/semantic_fpn.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='LoRA')),
    neck={{_base_.neck}},
    decode_head={{_base_.decode_head}})
