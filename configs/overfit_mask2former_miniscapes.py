# A check of the training code: Rein + Mask2Former must learn eight MiniScapes images by heart.
#   python tools/train.py configs/overfit_mask2former_miniscapes.py
# Expected: more than 60 mIoU on them within 400 iterations; docs/background/experiments.md has the curve.
_base_ = ['./rein_tiny_mask2former_miniscapes.py']
max_iters = 400
eight = dict(
    type='MiniScapesDataset', domain='clear', split='train', count=8,
    pipeline=[
        dict(type='LoadImageFromFile'), dict(type='LoadLabels'), dict(type='PackDomainInputs')])
train_dataloader = dict(batch_size=4, dataset=dict(_delete_=True, **eight))
val_dataloader = dict(dataset=dict(_delete_=True, **eight, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(targets=[])
test_evaluator = val_evaluator
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=20, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=20, end=max_iters, by_epoch=False)]
train_cfg = dict(max_iters=max_iters, val_interval=50)
