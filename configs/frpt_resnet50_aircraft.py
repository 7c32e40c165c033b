# FRPT on FGVC-Aircraft, 50 classes train and 50 are searched: 1 GPU, 78.5k iterations of 32 images.
# Published Recall@1 (ResNet-50): 77.6.
#   python tools/train.py configs/frpt_resnet50_aircraft.py
# The same without the prompt, or with LoRA: --cfg-options model.backbone.peft.type=Frozen (or LoRA)
_base_ = [
    './_base_/encoders/resnet50_imagenet.py', './_base_/heads/retrieval.py',
    './_base_/benchmarks/aircraft.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    type='PEFTImageModel',
    backbone=dict(encoder={{_base_.encoder}}, peft=dict(type='FRPT')),
    head={{_base_.head}})
