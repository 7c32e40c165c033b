# Rein on CLIP ViT-L with a trained pyramid, GTAV -> urban scenes. No published score found for Rein;
# published for frozen CLIP-L: Cityscapes 53.7, BDD100K 48.7, Mapillary 55.0, mean 52.5.
#   python tools/train.py configs/rein_clip_gtav.py
_base_ = [
    './_base_/encoders/clip_large.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    neck=dict(type='ConvPyramid'),
    decode_head={{_base_.decode_head}})
