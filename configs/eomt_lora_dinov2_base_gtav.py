# LoRA on DINOv2-B under EoMT, beside eomt_rein_dinov2_base_gtav.py; all else is equal.
#   python tools/train.py configs/eomt_lora_dinov2_base_gtav.py
_base_ = ['./eomt_rein_dinov2_base_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='LoRA')))
