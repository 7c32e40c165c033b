# Rein on DINOv2-L, Cityscapes -> ACDC, 1024 crops.
# Published mIoU on the test server: 77.6; this config scores the val images.
# The schedule is made for batch 8: four GPUs with 2 images each, or one GPU with all 8.
#   tools/dist_train.sh configs/rein_dinov2_cityscapes_to_acdc.py 4
#   python tools/train.py configs/rein_dinov2_cityscapes_to_acdc.py \
#     --cfg-options train_dataloader.batch_size=8
_base_ = [
    './_base_/encoders/dinov2_large_1024.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/cityscapes_to_acdc.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
