# DINOv2-S fine-tuned whole under EoMT, beside eomt_rein_dinov2_small_gtav.py
# with rates that fall by 0.8 from block to block, as the authors train on DINOv2; all else is equal.
#   python tools/train.py configs/eomt_full_dinov2_small_gtav.py
_base_ = ['./eomt_rein_dinov2_small_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Full')))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=dict(factor=0.8)))
