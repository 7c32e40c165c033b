# Conv-LoRA on SAM's ViT-H with its mask decoder, diseased leaves: published Dice 84.3 +- 0.3, from
# reviews of the paper.
#   python tools/train.py configs/conv_lora_sam_huge_leaf.py
_base_ = [
    './_base_/encoders/sam_huge_neck.py', './_base_/heads/sam.py',
    './_base_/benchmarks/leaf_disease.py', './_base_/schedules/adamw_conv_lora_3e4.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='ConvLoRA')),
    decode_head={{_base_.decode_head}})
