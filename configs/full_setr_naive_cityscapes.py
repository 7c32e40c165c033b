# SETR-Naive, ViT-L trained whole on Cityscapes, 8 GPUs x 1 image, 80k iterations.
# Published mIoU (single scale, official repository): 77.90.
#   python tools/train.py configs/full_setr_naive_cityscapes.py
_base_ = [
    './_base_/encoders/setr_large.py', './_base_/heads/setr_naive.py',
    './_base_/benchmarks/cityscapes.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'setr768'
sync_bn = 'torch'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
