# LoRA on DINOv2-L under PMT, beside pmt_rein_dinov2_large_gtav.py; all else is equal.
#   python tools/train.py configs/pmt_lora_dinov2_large_gtav.py
_base_ = ['./pmt_rein_dinov2_large_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='LoRA')))
