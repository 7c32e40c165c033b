# Rein on EfficientNet-Lite0 with ImageNet weights, real streets: CamVid by day -> dusk, KITTI, BDD100K.
#   python tools/train.py configs/efficientnet_lite0_camvid_to_kitti.py --cfg-options data_root=DIR
# DIR holds camvid/, kitti/ and bdd_taste/: docs/guides/real-streets.md. Needs pip install 'rein-seg[real]'.
_base_ = [
    './_base_/encoders/efficientnet_lite0.py', './_base_/heads/linear.py',
    './_base_/benchmarks/camvid_to_kitti.py', './_base_/schedules/adamw_streets.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder=dict({{_base_.encoder}}, out_indices=[2, 3, 4]),  # strides 8, 16, 32
        peft=dict(type='Rein')),
    decode_head={{_base_.decode_head}})
optim_wrapper = dict(optimizer=dict(lr=1e-2))
