# Rein on a tiny ViT, the embedded benchmark: what `make demo` runs. Two cores, about 4 minutes.
#   python tools/train.py configs/rein_tiny_miniscapes.py
# Another method: edit the peft line (LoRA, Frozen, Full) or --cfg-options model.backbone.peft.type=LoRA
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/linear.py',
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
