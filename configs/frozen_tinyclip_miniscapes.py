# Frozen on TinyCLIP: the ATM head alone trains; all else as zegclip_tiny_miniscapes.py.
#   python tools/train.py configs/frozen_tinyclip_miniscapes.py
_base_ = ['./zegclip_tiny_miniscapes.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Frozen')))
