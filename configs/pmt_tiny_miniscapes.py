# Rein + PMT on a tiny ViT, MiniScapes: small enough for two cores.
#   python tools/train.py configs/pmt_tiny_miniscapes.py
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/pmt_tiny.py',
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein', link_to_queries=False)),
    decode_head={{_base_.decode_head}})
optim_wrapper = dict(optimizer=dict(lr=1.5e-3))
