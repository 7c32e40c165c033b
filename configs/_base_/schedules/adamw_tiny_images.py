# A short schedule for whole images on two CPU cores.
_base_ = ['./adamw_tiny.py']
max_iters = 120
optim_wrapper = dict(optimizer=dict(lr=3e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=8, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0.0, begin=8, end=max_iters, by_epoch=False)]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=60))
