# DINOv2-L fine-tuned whole under EoMT, beside eomt_rein_dinov2_large_gtav.py; all else is equal.
#   python tools/train.py configs/eomt_full_dinov2_large_gtav.py
_base_ = ['./eomt_rein_dinov2_large_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Full')))
