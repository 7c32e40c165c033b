# PEGO, four updates of rank 4 on q and v of DINOv2-L, beside rein_dinov2_gtav.py; all else is equal:
# 1.57 M parameters in the encoder. Published for classification only: no published score found.
#   python tools/train.py configs/pego_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='PEGO')))
