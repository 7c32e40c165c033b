# All weights of TinyCLIP's image tower and a linear classifier; else as frozen_tinyclip_minivehicles.py.
#   python tools/train.py configs/full_tinyclip_minivehicles.py
_base_ = ['./frozen_tinyclip_minivehicles.py']
model = dict(backbone=dict(peft=dict(type='Full')))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
