# Mask decoders on real streets: the systems of compare_mask_decoders_miniscapes.py trained on CamVid by
# day and tested at dusk, on KITTI and on BDD100K, 1 seed, 80 iterations of four crops.
#   python tools/compare.py configs/compare_mask_decoders_camvid_to_kitti.py --jobs 2 --cfg-options data_root=DIR
# One rate for all: configs/tune_mask_decoders_camvid_to_kitti.py was not run yet.
_base_ = ['./compare_mask_decoders_miniscapes.py']
benchmark = 'camvid_to_kitti'
protocol = 'streets144'
max_iters = 80
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=10, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=10, end=max_iters, by_epoch=False)]
lr, ways = 'optim_wrapper.optimizer.lr', {{_base_.ways}}
rates = dict.fromkeys(ways, 2e-3)
comparison = dict(_delete_=True, seeds=[0], peft=[
    dict(way, name=name, options={**way['options'], lr: rates[name]})
    for name, way in ways.items()])
