# Rein + Mask2Former on a tiny ViT, MiniScapes: the published system small enough for two cores.
#   python tools/train.py configs/rein_tiny_mask2former_miniscapes.py
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/mask2former_tiny.py',
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein', num_tokens=40, rank=16, query_dims=128)),
    decode_head={{_base_.decode_head}})
optim_wrapper = dict(optimizer=dict(lr=1.5e-3))
