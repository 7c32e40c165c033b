# LoRA on a tiny ViT with a linear classifier, own images: DIR/{train,val}/CLASS/IMAGE. Minutes on two cores.
#   python tools/train.py configs/lora_tiny_image_folder.py --cfg-options data_root=DIR
# Another encoder: its base of _base_/encoders; another head: _base_/heads/text_image.py with a CLIP.
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/linear_image.py',
    './_base_/benchmarks/image_folder.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    type='PEFTImageModel',
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='LoRA')),
    head={{_base_.head}})
