# Full on TinyViT, drawn vehicles of unseen classes; all else as frozen_tinyvit_minivehicles_retrieval.py.
#   python tools/train.py configs/full_tinyvit_minivehicles_retrieval.py
_base_ = ['./frozen_tinyvit_minivehicles_retrieval.py']
model = dict(backbone=dict(peft=dict(type='Full')))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
