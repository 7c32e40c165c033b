# Rein on DINOv2-L with 1024 crops, GTAV -> urban scenes. No published score found for these sizes.
# The schedule is made for batch 8: four GPUs with 2 images each, or one GPU with all 8.
#   tools/dist_train.sh configs/rein_dinov2_gtav_1024.py 4
#   python tools/train.py configs/rein_dinov2_gtav_1024.py \
#     --cfg-options train_dataloader.batch_size=8
_base_ = [
    './_base_/encoders/dinov2_large_1024.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'rein1024'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
