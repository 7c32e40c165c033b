# DINOv2-B frozen under EoMT: only the head trains, beside eomt_rein_dinov2_base_gtav.py; all else is equal.
#   python tools/train.py configs/eomt_frozen_dinov2_base_gtav.py
_base_ = ['./eomt_rein_dinov2_base_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Frozen')))
