# zsseg trained on COCO-Stuff, tested on the 20 classes of PASCAL VOC; the exponents are of VOC's own 15 seen
# classes. Regions read the prompts of stage 0; officially the queries, too, which here read ViLD's sentences
# as trained. Published mIoU (ResNet-101c, 120k iterations): 88.4.
#   python tools/test.py configs/zsseg_clip_base_coco_stuff_to_voc20.py FILE
# Its training, with all 171 classes labelled:
#   python tools/train.py configs/zsseg_clip_base_coco_stuff_to_voc20.py
_base_ = ['./zsseg_r101c_coco_stuff_156_15.py', './_base_/regions/clip_base.py']
benchmark = 'coco_stuff_to_voc20'
prompts = 'work_dirs/zsseg_clip_base_coco_stuff_stage0/adapter.safetensors'
model = dict(
    type='TwoStageSegmentor',
    text=dict(templates='vild'),
    regions={**_base_.regions, 'text': dict(type='PrefixDot', num_prefix=16, prompts=prompts)},
    ensemble_weight=0.4,
    seen=[
        'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow', 'diningtable', 'dog',
        'horse', 'motorbike', 'person'])
