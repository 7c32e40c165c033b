# FRPT on TinyViT, drawn vehicles of unseen classes: the prompt re-samples the image, and the head is aware
# of categories. All else as frozen_tinyvit_minivehicles_retrieval.py; about 3 minutes on one core.
#   python tools/train.py configs/frpt_tinyvit_minivehicles_retrieval.py
_base_ = ['./frozen_tinyvit_minivehicles_retrieval.py']
model = dict(
    backbone=dict(peft=dict(type='FRPT', stage=-1)),
    head=dict(_delete_=True, type='RetrievalHead'))
