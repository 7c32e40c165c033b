# A linear head on a frozen tiny ViT whose first layer takes five bands. Two cores, 2 minutes.
#   python tools/train.py configs/frozen_tiny_minibands.py
# Train the first layer, too: --cfg-options model.backbone.encoder.bands.train_input=True
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/linear.py',
    './_base_/benchmarks/minibands.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(encoder={{_base_.encoder}}, peft=dict(type='Frozen')),
    decode_head={{_base_.decode_head}})
