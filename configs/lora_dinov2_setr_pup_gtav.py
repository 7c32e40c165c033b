# LoRA on DINOv2-L with SETR-PUP, beside rein_dinov2_setr_pup_gtav.py; all else is equal.
# No published score found.
#   python tools/train.py configs/lora_dinov2_setr_pup_gtav.py
_base_ = ['./rein_dinov2_setr_pup_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='LoRA')))
