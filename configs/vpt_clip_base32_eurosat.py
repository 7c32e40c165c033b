# Visual prompts beside cavpt_clip_base32_eurosat.py: in all 12 blocks, with the words of the hand template.
#   python tools/train.py configs/vpt_clip_base32_eurosat.py
_base_ = ['./cavpt_clip_base32_eurosat.py']
model = dict(
    backbone=dict(peft=dict(_delete_=True, type='VPT', num_tokens=10)),
    text=dict(_delete_=True, type='ClassTable', templates=['a centered satellite photo of {}.']),
    head=dict(_delete_=True, type='TextImageHead'))
