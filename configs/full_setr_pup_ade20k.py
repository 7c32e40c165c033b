# SETR-PUP, ViT-L trained whole on ADE20K, 8 GPUs x 2 images, 160k iterations.
# Published mIoU (single scale, official repository): 48.62 (multi-scale 50.09).
#   python tools/train.py configs/full_setr_pup_ade20k.py
_base_ = [
    './_base_/encoders/setr_large_512.py', './_base_/heads/setr_pup.py',
    './_base_/benchmarks/ade20k.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'setr512'
sync_bn = 'torch'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
