# DINOv2-L frozen under PMT: only the head trains, beside pmt_rein_dinov2_large_gtav.py; all else is equal.
#   python tools/train.py configs/pmt_frozen_dinov2_large_gtav.py
_base_ = ['./pmt_rein_dinov2_large_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Frozen')))
