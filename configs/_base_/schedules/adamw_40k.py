# Rein's schedule (specs: 40 000 iterations of batch 4, poly 0.9, no warm-up, no clipping).
# Tokens and scales do not decay either: their method says so. Officially level_encoding decays,
# because its name matches no key of theirs.
max_iters = 40000
optim_wrapper = dict(
    constructor='TrainableOptimConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05, betas=(0.9, 0.999), eps=1e-8),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            name: dict(decay_mult=0.0)
            for name in ('norm', 'query_embed', 'query_feat', 'level_embed', 'level_encoding')}))
param_scheduler = [
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=10000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4000, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'))
