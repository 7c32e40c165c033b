# SETR-MLA, ViT-L trained whole on Cityscapes, 8 GPUs x 1 image, 80k iterations.
# Published mIoU (single scale, official repository): 77.24.
#   python tools/train.py configs/full_setr_mla_cityscapes.py
_base_ = [
    './_base_/encoders/setr_large_mla.py', './_base_/heads/setr_mla.py',
    './_base_/benchmarks/cityscapes.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'setr768_mla'
sync_bn = 'torch'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    decode_head={{_base_.decode_head}})
