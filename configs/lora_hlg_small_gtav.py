# LoRA on frozen HLG-S with HLG's head, GTAV -> urban scenes; no published score found.
#   python tools/train.py configs/lora_hlg_small_gtav.py
_base_ = [
    './_base_/encoders/hlg_small.py', './_base_/heads/hlg.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='LoRA')),
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
