# Rein on DINOv2-L, GTAV -> urban scenes: 2.99 M parameters in the encoder, one GPU, batch 4.
# Published mIoU: Cityscapes 66.4, BDD100K 60.4, Mapillary 66.1, mean 64.3.
#   python tools/train.py configs/rein_dinov2_gtav.py
_base_ = [
    './_base_/encoders/dinov2_large.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
