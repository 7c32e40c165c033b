# Rein on DINOv2-L with 1024 crops, GTAV -> urban scenes; batch 8: 4 GPUs x 2 images.
# No score is published for exactly these test sizes.
#   tools/dist_train.sh configs/rein_dinov2_gtav_1024.py 4
#   python tools/train.py configs/rein_dinov2_gtav_1024.py
_base_ = [
    './_base_/encoders/dinov2_large_1024.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_to_urban_1024.py', './_base_/schedules/adamw_40k_1024.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein', num_tokens=100, rank=16, link_to_queries=True)),
    decode_head={{_base_.decode_head}})
