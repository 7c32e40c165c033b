# LoRA on DINOv2-L with FTN's head: three of its maps, at strides 8, 16 and 32, stand for a pyramid. No
# published score found.
#   python tools/train.py configs/lora_dinov2_fpt_gtav.py
_base_ = ['./lora_dinov2_gtav.py']
model = dict(
    backbone=dict(encoder=dict(out_indices=[11, 15, 23])),
    neck=dict(type='TokenPyramid', factors=(2, 1, 0.5), out_channels=256),
    decode_head=dict(_delete_=True, type='FPTHead'))
