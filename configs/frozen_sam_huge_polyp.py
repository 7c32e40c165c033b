# Decoder only, beside conv_lora_sam_huge_polyp.py; all else is equal: 3.506 M trained.
#   python tools/train.py configs/frozen_sam_huge_polyp.py
_base_ = ['./conv_lora_sam_huge_polyp.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Frozen')))
