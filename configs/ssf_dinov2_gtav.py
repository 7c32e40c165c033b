# SSF on DINOv2-L, beside rein_dinov2_gtav.py: 0.54 M parameters in the encoder, ten times the rate,
# no decay. Published for classification only: no published score found.
#   python tools/train.py configs/ssf_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='SSF')))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={
    'backbone.peft': dict(lr_mult=10.0, decay_mult=0.0)}))
