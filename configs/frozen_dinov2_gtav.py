# DINOv2-L frozen, only the head trains, beside rein_dinov2_gtav.py; all else is equal.
# Published mIoU: Cityscapes 63.3, BDD100K 56.1, Mapillary 63.9, mean 61.1.
#   python tools/train.py configs/frozen_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Frozen')))
