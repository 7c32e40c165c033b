# zsseg's first stage on COCO-Stuff, 156 classes seen and 15 unseen: 32 images x 60k iterations. Published
# hIoU, with the second stage: 37.8. Names are read in fixed words; officially in prompts learned on regions.
#   python tools/train.py configs/zsseg_r50_coco_stuff_156_15.py
_base_ = [
    './_base_/encoders/resnet50_imagenet.py', './_base_/heads/maskformer.py',
    './_base_/benchmarks/coco_stuff_156_15.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'zsseg640_coco'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    text={{_base_.text_branch}},
    decode_head={{_base_.decode_head}})
