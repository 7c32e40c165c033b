# Methods side by side on the embedded benchmark: 8 methods x 2 seeds on TinyViT. Two cores, about 20
# minutes. 40 iterations say that things work, not which method is best: compare_table_miniscapes.py.
#   python tools/compare.py configs/compare_miniscapes.py
# Leaves a page, work_dirs/compare/compare_miniscapes/comparison.html. Others: --peft VeRA SSF PEGO ...
_base_ = ['./rein_tiny_miniscapes.py']
comparison = dict(
    peft=['Frozen', 'Full', 'BitFit', 'LoRA', 'DoRA', 'SoMA', 'SVF', 'Rein'],
    seeds=[0, 1])
max_iters = 40
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=10, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=10, end=max_iters, by_epoch=False)]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=20))
