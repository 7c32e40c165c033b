# zsseg on PASCAL VOC, 15 classes seen and 5 unseen, both stages: queries read a sentence, regions the prompts
# of stage 0. Train zsseg_clip_base_voc_stage0.py first. 16 images x 20k iterations.
# Published pAcc / S / U / hIoU: 90.0 / 83.5 / 72.5 / 77.5.
#   python tools/train.py configs/zsseg_clip_base_voc.py
_base_ = ['./zsseg_r50_voc20_15_5.py', './_base_/regions/clip_base.py']
prompts = 'work_dirs/zsseg_clip_base_voc_stage0/adapter.safetensors'
model = dict(
    type='TwoStageSegmentor',
    regions={**_base_.regions, 'text': dict(type='PrefixDot', num_prefix=16, prompts=prompts)},
    ensemble_weight=0.7)
