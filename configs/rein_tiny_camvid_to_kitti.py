# Rein on a tiny ViT, real streets: trained on CamVid by day, tested at dusk, on KITTI and on BDD100K.
#   python tools/train.py configs/rein_tiny_camvid_to_kitti.py --cfg-options data_root=DIR
# DIR holds camvid/, kitti/ and bdd_taste/: docs/guides/street-data.md.
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/linear.py',
    './_base_/benchmarks/camvid_to_kitti.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
protocol = 'streets144'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
