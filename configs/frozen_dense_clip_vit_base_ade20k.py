# DenseCLIP on a frozen CLIP ViT-B/16, beside full_dense_clip_vit_base_ade20k.py. No published score
# found.
#   python tools/train.py configs/frozen_dense_clip_vit_base_ade20k.py
_base_ = ['./full_dense_clip_vit_base_ade20k.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Frozen')))
