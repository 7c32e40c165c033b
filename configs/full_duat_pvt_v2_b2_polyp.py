# DuAT (Tang et al., PRCV 2023): PVTv2-B2 trained in full, 24.95 M; polyps of five hospitals, trained
# on two. One GPU of 24 GB. Published mDice / mIoU (Dice_curve, IoU_curve; checkpoint chosen on the
# test images): CVC-ClinicDB 94.8 / 90.6, Kvasir 92.4 / 87.6, CVC-ColonDB 81.9 / 73.7.
#   python tools/train.py configs/full_duat_pvt_v2_b2_polyp.py
# The official form, 99 epochs of three steps a batch:
#   --cfg-options protocol=duat352_official epochs=99
_base_ = [
    './_base_/encoders/pvt_v2_b2.py', './_base_/heads/duat.py',
    './_base_/benchmarks/polyp_five.py', './_base_/schedules/protocol_epochs.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(encoder={{_base_.encoder}}, peft=dict(type='Full')),
    decode_head={**{{_base_.decode_head}},
                 'loss_decode': dict(type='StructureLoss', bce='weighted')})
