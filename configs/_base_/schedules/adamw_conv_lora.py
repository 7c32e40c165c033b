# Conv-LoRA's schedule: AdamW, linear to 0 without warm-up, clipping at 1, batches of 4 over all GPUs.
# It counts in the benchmark's epochs: None is filled in when a run starts; max_iters=N overrides.
# On 4 GPUs: train_dataloader.batch_size=1. Smaller batches: train_dataloader.batch_size=1 with optim_wrapper.accumulative_counts=4.
# Validation by epoch; the benchmark's metric chooses the checkpoint and stops after 10 without gain.
max_iters = None
optim_wrapper = dict(
    constructor='TrainableOptimConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4, betas=(0.9, 0.999), eps=1e-6),
    # officially SAM's two-dimensional norm is no nn.LayerNorm, so that its weight decays
    paramwise_cfg=dict(
        norm_decay_mult=0.0, bias_decay_mult=0.0,
        custom_keys={'output_upscaling.1.weight': dict(decay_mult=1.0)}),
    clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=0, end=max_iters, by_epoch=False)]
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
    early_stopping=dict(type='PatienceHook', monitor='benchmark', patience=10),
    sampler_seed=dict(type='DistSamplerSeedHook'))
