# Deep visual prompts in TinyCLIP, the names of the subtypes in fixed words. Two cores, 1 minute.
#   python tools/train.py configs/vpt_tinyclip_minivehicles.py
_base_ = ['./coop_tinyclip_minivehicles.py']
model = dict(
    backbone=dict(peft=dict(type='VPT', num_tokens=10)),
    text=dict(_delete_=True, type='ClassTable', templates='plain'))
