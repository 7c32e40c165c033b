# Conv-LoRA on SAM's ViT-H with its mask decoder, shadows, balanced cross-entropy: published BER
# 2.54 +- 0.08, from reviews of the paper.
#   python tools/train.py configs/conv_lora_sam_huge_shadow.py
_base_ = [
    './_base_/encoders/sam_huge_neck.py', './_base_/benchmarks/sbu_shadow.py',
    './_base_/schedules/adamw_conv_lora.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='ConvLoRA')),
    decode_head=dict(type='SAMHead', loss_decode=dict(type='BalancedBCELoss')))
