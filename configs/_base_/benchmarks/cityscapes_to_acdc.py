# Cityscapes -> ACDC's four conditions, their val images at 1920x1080; trained as rein1024.
# The published scores are of the test server, whose labels are not public: docs/reference/datasets.md.
_base_ = '../protocols/driving.py'
protocol = 'acdc1024'
protocols = dict(
    acdc1024=dict(
        _base_.protocols.rein1024, not_known=[],
        test_pipelines=dict(
            default=[
                dict(type='LoadDomainImage'),
                dict(type='Resize', scale=(1920, 1080), keep_ratio=True),
                dict(type='LoadLabels'), dict(type='PackDomainInputs')])))
targets = ['night', 'snow', 'fog', 'rain']
benchmark = dict(name='cityscapes_to_acdc', num_classes=19)
data_root = 'data'
train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    dataset=dict(
        type='CityscapesSpaceDataset', domain='cityscapes', layout='cityscapes', split='train'))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(type='CityscapesSpaceDataset', domain=domain, layout='acdc',
                 split=f'{domain}/val', test_mode=True)
            for domain in targets]))
test_dataloader = val_dataloader
val_evaluator = dict(type='DomainIoUMetric', targets=targets)
test_evaluator = val_evaluator
