# Methods side by side on the embedded benchmark: 10 methods x 2 seeds on a tiny ViT.
#   python tools/compare.py configs/compare_miniscapes.py
# Leaves a page, work_dirs/compare/compare_miniscapes/comparison.html.
# The rate is one for all; for figures worth quoting, search it for each method.
_base_ = ['./rein_tiny_miniscapes.py']
comparison = dict(
    peft=['Frozen', 'Full', 'BitFit', 'LoRA', 'DoRA', 'VeRA', 'SoMA', 'SVF', 'SSF', 'Rein'],
    seeds=[0, 1])
max_iters = 60
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
