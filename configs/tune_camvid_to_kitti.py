# Learning rates of compare_camvid_to_kitti.py: three for each of its ways to tune.
#   python tools/compare.py configs/tune_camvid_to_kitti.py --jobs 2 --cfg-options data_root=DIR
# Only the source's validation split is read.
_base_ = ['./compare_camvid_to_kitti.py']
day = _base_.val_dataloader.dataset.datasets[0]
val_dataloader = dict(dataset=dict(_delete_=True, **day))
test_dataloader = val_dataloader
targets = []
val_evaluator = dict(targets=targets)
test_evaluator = val_evaluator
lr = 'optim_wrapper.optimizer.lr'
rates = [('1e-3', 1e-3), ('3e-3', 3e-3), ('1e-2', 1e-2)]
ways = dict({{_base_.ways}}, FullOneRate={{_base_.full}})
comparison = dict(_delete_=True, seeds=[0], peft=[
    dict(way, name=f'{name}-{word}', options={**way.get('options', {}), lr: rate})
    for name, way in ways.items() for word, rate in rates])
