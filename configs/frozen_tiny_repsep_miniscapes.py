# RepSepStyle, a reconstruction, on a frozen tiny ViT, the embedded benchmark. Two cores, 3 minutes.
#   python tools/train.py configs/frozen_tiny_repsep_miniscapes.py
# The names of the parts are the paper's (arXiv 2212.13764), all content is ours.
# mIoU 38.9 on the source, 34.7 on targets; with the linear head 33.3, 29.9.
_base_ = [
    './_base_/encoders/vit_tiny.py',
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Frozen')),
    decode_head=dict(type='RepSepHead', channels=128))
