# The schedule of EoMT-L with DINOv2 on ADE20K (Kerssies et al., CVPR 2025): 31 epochs in batches of 16
# images over all GPUs, AdamW on every tensor, rates falling by 0.8 from block to block, the heads warm
# up for 500 iterations, then the encoder for 1000; masks open in sixths of the run. Officially with
# --amp and compiled. With optim_wrapper.accumulative_counts=N: N times max_iters and warmup; the masks
# count updates of the optimizer, starts and ends stay.
max_iters = 39122
optim_wrapper = dict(
    constructor='TrainableOptimConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05, betas=(0.9, 0.999), eps=1e-8),
    paramwise_cfg=dict(
        decay_all=True, layer_decay=dict(factor=0.8), late_prefixes=['backbone.']),
    clip_grad=dict(max_norm=0.01))
param_scheduler = [
    dict(type='TwoStagePolyLR', warmup=(500, 1000), power=0.9, begin=0, end=max_iters, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval='last')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    mask_annealing=dict(
        type='MaskAnnealingHook',
        starts=[6520, 13040, 19560, 26080], ends=[13040, 19560, 26080, 32600]),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4000, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'))
