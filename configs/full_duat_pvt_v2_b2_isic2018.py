# DuAT on skin lesions of ISIC 2018, beside full_duat_pvt_v2_b2_polyp.py. Published
# mDice / mIoU 92.3 / 86.7, on a division of the images that is not published as a list.
#   python tools/train.py configs/full_duat_pvt_v2_b2_isic2018.py
# In the authors' folders (TrainDataset, TestDataset): --cfg-options benchmark=isic2018_prepared
_base_ = [
    './_base_/encoders/pvt_v2_b2.py', './_base_/heads/duat.py',
    './_base_/benchmarks/isic2018.py', './_base_/schedules/protocol_epochs.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(encoder={{_base_.encoder}}, peft=dict(type='Full')),
    decode_head={**{{_base_.decode_head}},
                 'loss_decode': dict(type='StructureLoss', bce='weighted')})
