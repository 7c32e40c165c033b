# Rein on DINOv2-L, GTAV, SYNTHIA and UrbanSyn -> urban scenes.
# Published mIoU on Cityscapes: 78.4; its sizes and schedule were not found.
#   python tools/train.py configs/rein_dinov2_gtav_synthia_urbansyn.py
_base_ = [
    './_base_/encoders/dinov2_large.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_synthia_urbansyn_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
