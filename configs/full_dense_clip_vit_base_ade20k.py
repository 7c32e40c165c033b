# DenseCLIP on CLIP ViT-B/16, trained whole on ADE20K, 8 GPUs x 4 images, 80k iterations.
# Published mIoU (single scale, official repository): 50.6 (multi-scale 51.3; the same without words: 49.4).
#   python tools/train.py configs/full_dense_clip_vit_base_ade20k.py
_base_ = [
    './_base_/encoders/clip_base_640.py', './_base_/heads/dense_clip_vit.py',
    './_base_/benchmarks/ade20k.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'denseclip640'
sync_bn = 'torch'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    text={{_base_.text_branch}},
    neck={{_base_.neck}},
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
