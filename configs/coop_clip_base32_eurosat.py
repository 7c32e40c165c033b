# CoOp (Zhou et al., IJCV 2022) beside cavpt_clip_base32_eurosat.py: text alone learns, with its rate.
#   python tools/train.py configs/coop_clip_base32_eurosat.py
_base_ = ['./cavpt_clip_base32_eurosat.py']
model = dict(
    backbone=dict(peft=dict(_delete_=True, type='Frozen')),
    text=dict(_delete_=True, type='CoOp'),
    head=dict(_delete_=True, type='TextImageHead'))
