# LoRA of rank 8 on q and v of DINOv2-L, the small variant of lora_dinov2_gtav.py: 0.79 M parameters
# in the encoder. No published score found.
#   python tools/train.py configs/lora_qv_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(
    peft=dict(_delete_=True, type='LoRA', targets=['q', 'v'], rank=8, alpha=8)))
