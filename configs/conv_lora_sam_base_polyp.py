# Conv-LoRA on SAM's ViT-B with its mask decoder, polyps: 3.625 M trained. No published score found.
#   python tools/train.py configs/conv_lora_sam_base_polyp.py
_base_ = [
    './_base_/encoders/sam_base_neck.py', './_base_/heads/sam.py',
    './_base_/benchmarks/polyp.py', './_base_/schedules/adamw_conv_lora.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='ConvLoRA')),
    decode_head={{_base_.decode_head}})
