# Rein on TinyCLIP; all else as zegclip_tiny_miniscapes.py.
#   python tools/train.py configs/rein_tinyclip_miniscapes.py
_base_ = ['./zegclip_tiny_miniscapes.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Rein', link_to_queries=False)))
