# A schedule for comparisons of many systems on two CPU cores: 160 iterations, test at the end.
_base_ = ['./adamw_tiny.py']
max_iters = 160
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=20, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=20, end=max_iters, by_epoch=False)]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
