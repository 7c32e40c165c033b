# DoRA of rank 8 on q and v of DINOv2-L, beside rein_dinov2_gtav.py; all else is equal: 0.84 M
# parameters in the encoder. No published score found.
#   python tools/train.py configs/dora_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='DoRA')))
