# zsseg trained on COCO-Stuff, tested on the 150 classes of ADE20K, whose names are read in ViLD's 14
# sentences. Published mIoU (ResNet-101c, 120k iterations): 20.5.
#   python tools/test.py configs/zsseg_clip_base_coco_stuff_to_ade20k.py FILE
# Its training, with all 171 classes labelled:
#   python tools/train.py configs/zsseg_clip_base_coco_stuff_to_ade20k.py
_base_ = ['./zsseg_r101c_coco_stuff_156_15.py', './_base_/regions/clip_base.py']
benchmark = 'coco_stuff_to_ade20k'
model = dict(
    type='TwoStageSegmentor',
    text=dict(templates='vild'),
    regions={**_base_.regions, 'threshold': 0.4},
    ensemble_weight=0.5,
    seen=[])
