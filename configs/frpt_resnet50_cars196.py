# FRPT on Cars-196, 98 classes train and 98 are searched: 1 GPU, 126k iterations of 32 images.
# Published Recall@1 (ResNet-50): 91.1.
#   python tools/train.py configs/frpt_resnet50_cars196.py
# The same without the prompt, or with LoRA: --cfg-options model.backbone.peft.type=Frozen (or LoRA)
_base_ = [
    './_base_/encoders/resnet50_imagenet.py', './_base_/heads/retrieval.py',
    './_base_/benchmarks/cars196.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    type='PEFTImageModel',
    backbone=dict(encoder={{_base_.encoder}}, peft=dict(type='FRPT')),
    head={{_base_.head}})
