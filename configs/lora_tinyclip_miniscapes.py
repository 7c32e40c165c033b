# LoRA on TinyCLIP; all else as zegclip_tiny_miniscapes.py.
#   python tools/train.py configs/lora_tinyclip_miniscapes.py
_base_ = ['./zegclip_tiny_miniscapes.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='LoRA')))
