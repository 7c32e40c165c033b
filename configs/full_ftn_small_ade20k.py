# FTN-S (PGT-S, FPN, FPT) trained whole on ADE20K, 8 GPUs x 2 images, 160k iterations. Neither scores nor
# ImageNet weights of its authors can be had: this starts from random weights, and there is no mIoU to compare
# with. FTN-T, -B and -L take the bases pgt_tiny, pgt_base and pgt_large.
#   python tools/train.py configs/full_ftn_small_ade20k.py
_base_ = [
    './_base_/encoders/pgt_small.py', './_base_/heads/fpt.py',
    './_base_/benchmarks/ade20k.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'ftn512'
sync_bn = 'torch'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    neck={{_base_.neck}},
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
