# The schedule of dual-modality prompts (Xing et al., IEEE TMM 2023) and CoOp: SGD, a constant warm-up,
# a cosine; 0.01 and 10 warm-up epochs for visual prompts, 0.002 and 1 epoch for text. 60 epochs, the
# authors' choice for 1 image of each class; the repository has no others. Validation at the end.
epochs = 60
max_iters = None
optim_wrapper = dict(
    constructor='TrainableOptimConstructor',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(prefix_lr_mult={'text.': 0.2}, prefix_warmup={'text.': 1 / 60}))
param_scheduler = [
    dict(type='WarmupCosineLR', warmup=10 / 60, warmup_lr=1e-5, end=None, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval='last')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=10, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=None, max_keep_ckpts=1),
    sampler_seed=dict(type='DistSamplerSeedHook'))
