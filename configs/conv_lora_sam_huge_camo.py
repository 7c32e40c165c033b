# Conv-LoRA on SAM's ViT-H with its mask decoder, camouflaged objects: published S 88.3 +- 0.4, weighted F
# 84.0, from reviews of the paper.
#   python tools/train.py configs/conv_lora_sam_huge_camo.py
_base_ = [
    './_base_/encoders/sam_huge_neck.py', './_base_/heads/sam.py',
    './_base_/benchmarks/camo.py', './_base_/schedules/adamw_conv_lora.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='ConvLoRA')),
    decode_head={{_base_.decode_head}})
