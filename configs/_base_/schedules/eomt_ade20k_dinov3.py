# The schedule of EoMT-L with DINOv3 on ADE20K, from the code of its authors: 16 epochs in batches of 16
# images over all GPUs, one rate for everything. Their config asks for a tenth of it in the encoder
# (lr_mult), which their code never applies: the published weights were trained without it, and so here.
_base_ = ['./eomt_ade20k.py']
max_iters = 20192
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(layer_decay=None))
param_scheduler = [
    dict(type='TwoStagePolyLR', warmup=(2000, 3000), power=0.9, begin=0, end=max_iters, by_epoch=False)]
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(mask_annealing=dict(
    starts=[0, 6520, 9780, 13040], ends=[3000, 9780, 13040, 16300]))
