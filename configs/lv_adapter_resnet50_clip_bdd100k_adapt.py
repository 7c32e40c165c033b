# LV-Adapter (a reconstruction) on CLIP ResNet-50, BDD100K: semantic segmentation and drivable area in one
# run. Stage 1, adapt: the encoder is frozen. One GPU x 16 images, 20k iterations; no published score.
#   python tools/train.py configs/lv_adapter_resnet50_clip_bdd100k_adapt.py
_base_ = [
    './_base_/encoders/clip_resnet50_maps.py', './_base_/heads/lv_adapter.py',
    './_base_/benchmarks/bdd100k_tasks.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'lv_adapter'
sync_bn = 'torch'
model = dict(
    type='MultiTaskSegmentor',
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Frozen')),
    text={{_base_.text_branch}},
    neck={{_base_.neck}},
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
