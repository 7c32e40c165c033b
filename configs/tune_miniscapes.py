# Learning rates of the README's table, chosen by the source's validation split: no target is read.
#   python tools/compare.py configs/tune_miniscapes.py
_base_ = ['./compare_table_miniscapes.py']
clear = _base_.val_dataloader.dataset.datasets[0]
val_dataloader = dict(dataset=dict(_delete_=True, **clear))
test_dataloader = val_dataloader
targets = []
val_evaluator = dict(targets=targets)
test_evaluator = val_evaluator
lr, encoder = 'optim_wrapper.optimizer.lr', 'model.backbone.encoder'
rates = [('1e-3', 1e-3), ('3e-3', 3e-3)]
methods = [
    'Frozen', 'Full', 'LoRA', 'Rein', 'ConvLoRA', 'VPT', 'AdaptFormer', 'SSF', 'SVF', 'BitFit',
    'SoMA']
start = {encoder: {{_base_.scratch}}}
comparison = dict(
    _delete_=True, seeds=[0],
    peft=[
        dict(type=method, name=f'{method}-{name}', options={lr: rate})
        for method in methods for name, rate in rates] + [
        dict(type='Full', name='Full-3e-4', options={lr: 3e-4}),
        dict(type='Full', name='Scratch-3e-4', options={**start, lr: 3e-4}),
        dict(type='Full', name='Scratch-1e-3', options={**start, lr: 1e-3})])
