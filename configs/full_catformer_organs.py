# CATformer, CASTformer's generator, on drawn CT slices: all of it trains, from random weights. Minutes.
#   python tools/train.py configs/full_catformer_organs.py
# Dice 84.3 on the source, 62.7 on targets.
_base_ = [
    './_base_/heads/castformer.py', './_base_/benchmarks/organs.py',
    './_base_/schedules/adamw_tiny.py', './_base_/runtime.py']
max_iters = 640
model = dict(
    backbone=dict(
        encoder=dict(
            name='ResNetV2 (tiny)', type='ResNetV2', depths=[1, 1, 1], stem_channels=16,
            base_channels=64, norm_groups=8, init_seed=0),
        peft=dict(type='Full')),
    neck={**_base_.neck, 'grids': (12, 12, 12, 6), 'embed_dims': 64, 'num_heads': 4, 'depth': 2, 'out_size': 24},
    decode_head={**_base_.decode_head, 'channels': 64})
