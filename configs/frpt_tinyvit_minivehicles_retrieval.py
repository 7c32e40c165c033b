# FRPT on TinyViT, drawn vehicles of unseen classes: the prompt re-samples the image, and the head is aware
# of categories. A 1x1 convolution, from zero: AdamW's steps are too large for 31x31. All else as
# frozen_tinyvit_minivehicles_retrieval.py.
#   python tools/train.py configs/frpt_tinyvit_minivehicles_retrieval.py
_base_ = ['./frozen_tinyvit_minivehicles_retrieval.py']
model = dict(
    backbone=dict(peft=dict(type='FRPT', form='repository', zero_init=True)),
    head=dict(_delete_=True, type='RetrievalHead'))
