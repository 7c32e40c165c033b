# DINOv2-L fine-tuned whole at 1e-4, as the official config has it (the paper says 1e-5), beside
# rein_dinov2_gtav.py. Published mIoU: Cityscapes 63.7, BDD100K 57.4, Mapillary 64.2, mean 61.7.
#   python tools/train.py configs/full_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Full')))
