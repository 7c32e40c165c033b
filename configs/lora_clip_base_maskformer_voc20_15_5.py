# LoRA on a frozen CLIP ViT-B/16 makes the mask proposals: a row of ours beside zsseg_r50_voc20_15_5.py, without
# a published score. The method trains at the full rate.
#   python tools/train.py configs/lora_clip_base_maskformer_voc20_15_5.py
_base_ = [
    './_base_/encoders/clip_base.py', './_base_/heads/maskformer.py',
    './_base_/benchmarks/voc20_15_5.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'zsseg512_voc'
model = dict(
    backbone=dict(
        encoder={**_base_.encoder, 'joint_dims': None},
        peft=dict(type='LoRA')),
    text={**_base_.text_branch, 'templates': ['a sculpture of a {}.']},
    decode_head={{_base_.decode_head}})
optim_wrapper = dict(paramwise_cfg=dict(prefix_lr_mult={'backbone.': 1.0}))
