# Stage 2 of lv_adapter_tinyclip_miniscapes.py, finetune: the encoder trains, too, at a tenth of the
# rate, from the neck and heads of stage 1. Two cores, about 6 minutes.
#   python tools/train.py configs/lv_adapter_tinyclip_miniscapes_finetune.py
_base_ = ['./lv_adapter_tinyclip_miniscapes.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Full')))
load_from = 'work_dirs/lv_adapter_tinyclip_miniscapes/adapter.safetensors'
new_method = True
optim_wrapper = dict(optimizer=dict(lr=5e-4), paramwise_cfg=dict(prefix_lr_mult={'backbone.': 0.1}))
max_iters = 320
