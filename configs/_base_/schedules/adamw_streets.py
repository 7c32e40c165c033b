# A short schedule for small sets of real streets, on two CPU cores: 120 iterations, test at the end.
_base_ = ['./adamw_tiny.py']
max_iters = 120
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=15, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=15, end=max_iters, by_epoch=False)]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
