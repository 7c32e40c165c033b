# Frozen on a tiny ViT, beside rein_tiny_miniscapes.py; all else is equal.
#   python tools/train.py configs/frozen_tiny_miniscapes.py
_base_ = ['./rein_tiny_miniscapes.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Frozen')))
