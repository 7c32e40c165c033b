# Rein on a tiny ViT, trained on drawn streets, tested on real ones: CamVid, KITTI, BDD100K.
#   python tools/train.py configs/rein_tiny_miniscapes_to_real.py --cfg-options data_root=DIR
# DIR holds camvid/, kitti/ and bdd_taste/: docs/guides/street-data.md.
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/heads/linear.py',
    './_base_/benchmarks/miniscapes_to_real.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
protocol = 'streets144'
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
