# The schedule of a protocol that counts in the benchmark's epochs: None is filled in when a run
# starts; epochs=N or max_iters=N overrides. Optimizer and rates are the protocol's. Validation by
# epoch; the benchmark's metric chooses the checkpoint.
max_iters = None
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=None)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', by_epoch=False, interval=None, max_keep_ckpts=1,
        save_best='benchmark'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
