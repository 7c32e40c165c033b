# LoRA on CLIP ViT-B/16 with DenseCLIP's text branch, neck and heads, GTAV -> urban scenes. No published
# score found.
#   python tools/train.py configs/lora_dense_clip_vit_base_gtav.py
_base_ = [
    './_base_/encoders/clip_base.py', './_base_/heads/dense_clip_vit.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='LoRA')),
    text={{_base_.text_branch}},
    neck={{_base_.neck}},
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
