# Rein's schedule for 1024 crops: as adamw_40k.py with a lower rate and a linear warm-up.
_base_ = './adamw_40k.py'
optim_wrapper = dict(optimizer=dict(lr=6e-5))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=10000, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=10000, end=40000, by_epoch=False)]
