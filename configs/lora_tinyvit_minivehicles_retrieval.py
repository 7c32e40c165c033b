# LoRA on TinyViT, drawn vehicles of unseen classes; all else as frozen_tinyvit_minivehicles_retrieval.py.
#   python tools/train.py configs/lora_tinyvit_minivehicles_retrieval.py
_base_ = ['./frozen_tinyvit_minivehicles_retrieval.py']
model = dict(backbone=dict(peft=dict(type='LoRA')))
