# LoRA in TinyCLIP and a linear classifier; all else as frozen_tinyclip_minivehicles.py.
#   python tools/train.py configs/lora_tinyclip_minivehicles.py
_base_ = ['./frozen_tinyclip_minivehicles.py']
model = dict(backbone=dict(peft=dict(type='LoRA')))
