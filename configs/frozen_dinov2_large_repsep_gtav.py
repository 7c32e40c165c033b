# RepSepStyle, a reconstruction, on a frozen DINOv2-L: names of arXiv 2212.13764, content and recipe
# ours. Scores must not stand beside the paper's.
#   python tools/train.py configs/frozen_dinov2_large_repsep_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(
    backbone=dict(peft=dict(_delete_=True, type='Frozen')),
    decode_head=dict(_delete_=True, type='RepSepHead'))
