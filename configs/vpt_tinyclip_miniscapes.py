# Deep prompts on TinyCLIP, without ZegCLIP's linear and norm; all else as zegclip_tiny_miniscapes.py.
#   python tools/train.py configs/vpt_tinyclip_miniscapes.py
_base_ = ['./zegclip_tiny_miniscapes.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='VPT', num_tokens=10)))
