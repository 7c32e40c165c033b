# As rein_tiny_miniscapes.py with mmseg's UPerHead, which takes no queries.
#   python tools/train.py configs/rein_tiny_upernet_miniscapes.py
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/upernet.py',
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein', link_to_queries=False)),
    neck={{_base_.neck}},
    decode_head={{_base_.decode_head}})
