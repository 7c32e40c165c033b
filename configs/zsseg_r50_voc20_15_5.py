# zsseg's first stage on PASCAL VOC, 15 classes seen and 5 unseen: mask proposals of ResNet-50, their classes
# from names. 16 images x 20k iterations. Published pAcc / S / U / hIoU, with the second stage: 90.0 / 83.5 /
# 72.5 / 77.5.
#   python tools/train.py configs/zsseg_r50_voc20_15_5.py
_base_ = [
    './_base_/encoders/resnet50_imagenet.py', './_base_/heads/maskformer.py',
    './_base_/benchmarks/voc20_15_5.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'zsseg512_voc'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    text={**_base_.text_branch, 'templates': ['a sculpture of a {}.']},
    decode_head={{_base_.decode_head}})
