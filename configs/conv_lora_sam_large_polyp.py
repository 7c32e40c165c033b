# Conv-LoRA on SAM's ViT-L with its mask decoder, polyps: 3.818 M trained. No published score found.
#   python tools/train.py configs/conv_lora_sam_large_polyp.py
_base_ = [
    './_base_/encoders/sam_large_neck.py', './_base_/heads/sam.py',
    './_base_/benchmarks/polyp.py', './_base_/schedules/adamw_conv_lora.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='ConvLoRA')),
    decode_head={{_base_.decode_head}})
