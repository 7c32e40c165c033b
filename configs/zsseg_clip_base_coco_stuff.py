# zsseg on COCO-Stuff, 156 classes seen and 15 unseen, both stages with the prompts of stage 0. Train
# zsseg_clip_base_coco_stuff_stage0.py first. 32 images x 60k iterations. Published hIoU: 37.8.
#   python tools/train.py configs/zsseg_clip_base_coco_stuff.py
_base_ = ['./zsseg_r50_coco_stuff_156_15.py', './_base_/regions/clip_base.py']
model = dict(
    type='TwoStageSegmentor',
    text=dict(
        type='PrefixDot',
        num_prefix=16,
        prompts='work_dirs/zsseg_clip_base_coco_stuff_stage0/adapter.safetensors'),
    regions={{_base_.regions}},
    ensemble_weight=0.8)
