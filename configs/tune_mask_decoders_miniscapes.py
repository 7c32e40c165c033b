# Learning rates of compare_mask_decoders_miniscapes.py: three for each of its systems.
#   python tools/compare.py configs/tune_mask_decoders_miniscapes.py --jobs 2
# Only the source's validation split is read.
_base_ = ['./compare_mask_decoders_miniscapes.py']
clear = _base_.val_dataloader.dataset.datasets[0]
val_dataloader = dict(dataset=dict(_delete_=True, **clear))
test_dataloader = val_dataloader
targets = []
val_evaluator = dict(targets=targets)
test_evaluator = val_evaluator
lr = 'optim_wrapper.optimizer.lr'
rates = [('5e-4', 5e-4), ('2e-3', 2e-3), ('6e-3', 6e-3)]
comparison = dict(_delete_=True, seeds=[0], peft=[
    dict(way, name=f'{name}-{word}', options={**way['options'], lr: rate})
    for name, way in {{_base_.ways}}.items() for word, rate in rates])
