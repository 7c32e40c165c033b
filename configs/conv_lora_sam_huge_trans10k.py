# Conv-LoRA on SAM's ViT-H with its mask decoder, transparent things, 12 classes: published mIoU 67.1,
# from reviews of the paper; 100 mask tokens, a number of ours.
#   python tools/train.py configs/conv_lora_sam_huge_trans10k.py
_base_ = [
    './_base_/encoders/sam_huge_neck.py', './_base_/heads/sam.py',
    './_base_/benchmarks/trans10k_v2.py', './_base_/schedules/adamw_conv_lora.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='ConvLoRA')),
    decode_head={{_base_.decode_head}})
