# BitFit on DINOv2-L, beside rein_dinov2_gtav.py: 0.27 M parameters in the encoder, all its biases,
# at ten times the rate without decay. No published score found.
#   python tools/train.py configs/bitfit_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='BitFit')))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={
    'backbone.peft': dict(lr_mult=10.0, decay_mult=0.0)}))
