# Rein on DINOv2-L, Cityscapes -> Cityscapes-C.
# Published mean mIoU: 60.0; its sizes were not found. The test is of 37,500 images.
#   python tools/train.py configs/rein_dinov2_cityscapes_c.py
#   python tools/test.py configs/rein_dinov2_cityscapes_c.py \
#     work_dirs/rein_dinov2_cityscapes_c/adapter.safetensors
_base_ = [
    './_base_/encoders/dinov2_large.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/cityscapes_to_cityscapes_c.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
