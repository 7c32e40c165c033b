# DenseCLIP on CLIP ResNet-101, trained whole on ADE20K, 8 GPUs x 4 images, 80k iterations.
# Published mIoU (single scale, official repository): 45.1 (multi-scale 46.5; the same without words: 42.7).
#   python tools/train.py configs/full_dense_clip_resnet101_ade20k.py
_base_ = [
    './_base_/encoders/clip_resnet101.py', './_base_/heads/dense_clip.py',
    './_base_/benchmarks/ade20k.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'denseclip512'
sync_bn = 'torch'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    text={{_base_.text_branch}},
    neck={{_base_.neck}},
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
