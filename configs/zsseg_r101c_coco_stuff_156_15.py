# As zsseg_r50_coco_stuff_156_15.py with ResNet-101c, the encoder of the published models that are tested on
# other data sets (there 120k iterations).
#   python tools/train.py configs/zsseg_r101c_coco_stuff_156_15.py
_base_ = [
    './_base_/encoders/resnet101c_imagenet.py', './_base_/heads/maskformer.py',
    './_base_/benchmarks/coco_stuff_156_15.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'zsseg640_coco'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    text={{_base_.text_branch}},
    decode_head={{_base_.decode_head}})
