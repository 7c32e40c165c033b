# SVF on every linear of DINOv2-L, beside rein_dinov2_gtav.py: 0.10 M parameters in the encoder, ten
# times the rate. Published for few-shot segmentation only: no published score found. Starting takes
# one singular value decomposition a weight: minutes.
#   python tools/train.py configs/svf_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='SVF')))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={
    'backbone.peft': dict(lr_mult=10.0, decay_mult=0.0)}))
