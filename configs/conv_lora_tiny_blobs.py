# Conv-LoRA on a tiny SAM with its mask decoder, the embedded binary benchmark. Two cores, 2 minutes.
#   python tools/train.py configs/conv_lora_tiny_blobs.py
_base_ = [
    './_base_/encoders/sam_tiny.py', './_base_/heads/sam_tiny.py',
    './_base_/benchmarks/blobs.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='ConvLoRA')),
    decode_head={{_base_.decode_head}})
