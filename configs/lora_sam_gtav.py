# LoRA on SAM's ViT-H, beside rein_sam_gtav.py; all else is equal. No published score found.
#   python tools/train.py configs/lora_sam_gtav.py
_base_ = ['./rein_sam_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='LoRA')))
