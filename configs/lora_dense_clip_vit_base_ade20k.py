# DenseCLIP on CLIP ViT-B/16 with LoRA at the full rate, beside full_dense_clip_vit_base_ade20k.py, where
# all of CLIP trains at a tenth of the rate. No published score found.
#   python tools/train.py configs/lora_dense_clip_vit_base_ade20k.py
_base_ = ['./full_dense_clip_vit_base_ade20k.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='LoRA')))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=1.0))))
