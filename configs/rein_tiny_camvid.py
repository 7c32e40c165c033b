# Rein on a tiny ViT, real street frames: trained by day, tested by day and at dusk.
#   python tools/train.py configs/rein_tiny_camvid.py --cfg-options data_root=DIR
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/linear.py',
    './_base_/benchmarks/camvid_day_to_dusk.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
