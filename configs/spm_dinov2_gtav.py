# SPM on DINOv2-L, beside rein_dinov2_gtav.py; all else is equal. 0.96 M parameters in the encoder.
# No published score found: no official code was found.
#   python tools/train.py configs/spm_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='SPM')))
