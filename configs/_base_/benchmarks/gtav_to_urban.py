# GTAV -> Cityscapes, BDD100K, Mapillary Vistas. Data as downloaded, raw ids mapped at load; layouts:
# docs/reference/datasets.md. Crops, schedule and sizes are the protocol's, one word: docs/reference/protocols.md.
_base_ = '../protocols/driving.py'
protocol = 'rein512'
targets = ['cityscapes', 'bdd100k', 'mapillary']
benchmark = dict(name='gtav_to_urban', num_classes=19)
data_root = 'data'
train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    dataset=dict(type='CityscapesSpaceDataset', domain='gtav', layout='gtav'))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(type='CityscapesSpaceDataset', domain=domain, layout=domain, split=split,
                 test_mode=True)
            for domain, split in zip(targets, ('val', 'val', 'validation'))]))
test_dataloader = val_dataloader
val_evaluator = dict(type='DomainIoUMetric', targets=targets)
test_evaluator = val_evaluator
