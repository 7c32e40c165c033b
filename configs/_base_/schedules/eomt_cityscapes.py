# The schedule of EoMT-L with DINOv2 on Cityscapes (Kerssies et al., CVPR 2025): 107 epochs in batches
# of 16 images over all GPUs; else as on ADE20K.
_base_ = ['./eomt_ade20k.py']
max_iters = 19902
param_scheduler = [
    dict(type='TwoStagePolyLR', warmup=(500, 1000), power=0.9, begin=0, end=max_iters, by_epoch=False)]
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(mask_annealing=dict(
    starts=[3317, 6634, 9951, 13268], ends=[6634, 9951, 13268, 16585]))
