# SET on DINOv2-L, beside rein_dinov2_gtav.py; all else is equal. 7.55 M parameters in the encoder.
# No published score found for a transform of the image plane; mode='official' is the released code's.
#   python tools/train.py configs/set_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='SET')))
