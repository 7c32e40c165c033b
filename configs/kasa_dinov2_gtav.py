# KaSA of rank 8 on q and v of DINOv2-L, beside rein_dinov2_gtav.py; all else is equal: 0.79 M
# parameters in the encoder. Published for language models only: no published score found. Starting
# takes one singular value decomposition a weight: minutes.
#   python tools/train.py configs/kasa_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='KaSA')))
