# LoRA on a tiny ViT with a linear classifier, own images: DIR/{train,val}/CLASS/IMAGE. Minutes on two cores.
#   python tools/train.py configs/lora_tiny_image_folder.py --cfg-options data_root=DIR
# Images of 96 pixels, for a CPU; without the two pipelines they have 224.
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/linear_image.py',
    './_base_/benchmarks/image_folder.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
load, pack = dict(type='LoadDomainImage'), dict(type='PackImageInputs')
crop = dict(type='mmpretrain.RandomResizedCrop', scale=96, crop_ratio_range=(0.5, 1.0))
flip = dict(type='RandomFlip', prob=0.5)
edge, middle = dict(type='mmpretrain.ResizeEdge', scale=96), dict(type='mmpretrain.CenterCrop', crop_size=96)
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=[load, crop, flip, pack]))
val_dataloader = dict(dataset=dict(pipeline=[load, edge, middle, pack]))
test_dataloader = val_dataloader
model = dict(
    type='PEFTImageModel',
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='LoRA')),
    head={{_base_.head}})
