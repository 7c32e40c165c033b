# Stage 2 of lv_adapter_resnet50_clip_bdd100k_adapt.py, finetune: the encoder trains, too, at a tenth of the
# rate, from the neck and heads of stage 1. One GPU x 16 images, 20k iterations; no published score.
#   python tools/train.py configs/lv_adapter_resnet50_clip_bdd100k_finetune.py
_base_ = ['./lv_adapter_resnet50_clip_bdd100k_adapt.py']
protocol = 'lv_adapter_finetune'
model = dict(backbone=dict(peft=dict(_delete_=True, type='Full')))
load_from = 'work_dirs/lv_adapter_resnet50_clip_bdd100k_adapt/adapter.safetensors'
new_method = True
