# LoRA at Conv-LoRA's places, beside conv_lora_sam_huge_polyp.py; all else is equal: 3.997 M trained.
#   python tools/train.py configs/lora_sam_huge_polyp.py
_base_ = ['./conv_lora_sam_huge_polyp.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='LoRA', targets=['qkv'], rank=3, alpha=32)))
