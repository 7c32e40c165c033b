# HLG-S trained on Cityscapes, all of it, with HLG's head. Published mIoU on val: 81.8 (HLG-M 82.5, HLG-L 82.9:
# take their bases). Its weights: see the base.
# The schedule is made for batch 16: eight GPUs with 2 images each, or one with all 16.
#   python tools/train.py configs/full_hlg_small_cityscapes.py --cfg-options train_dataloader.batch_size=16
_base_ = [
    './_base_/encoders/hlg_small.py', './_base_/heads/hlg.py',
    './_base_/benchmarks/cityscapes.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
protocol = 'hlg768'
