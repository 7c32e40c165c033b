# Conv-LoRA on SAM's ViT-H with its mask decoder, skin lesions: published Jaccard 77.6 +- 0.6, from reviews
# of the paper.
#   python tools/train.py configs/conv_lora_sam_huge_isic.py
_base_ = [
    './_base_/encoders/sam_huge_neck.py', './_base_/heads/sam.py',
    './_base_/benchmarks/isic2017.py', './_base_/schedules/adamw_conv_lora.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='ConvLoRA')),
    decode_head={{_base_.decode_head}})
