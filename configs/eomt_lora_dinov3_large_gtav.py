# LoRA on DINOv3-L under EoMT, beside eomt_rein_dinov3_large_gtav.py; all else is equal.
#   python tools/train.py configs/eomt_lora_dinov3_large_gtav.py
_base_ = ['./eomt_rein_dinov3_large_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='LoRA')))
