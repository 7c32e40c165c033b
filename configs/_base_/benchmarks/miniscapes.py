# The embedded benchmark: procedural street scenes, drawn on first use into data/miniscapes.
# Source clear; unseen targets overcast, night, fog, rain, snow. 19 Cityscapes classes.
source = 'clear'
targets = ['overcast', 'night', 'fog', 'rain', 'snow']
benchmark = dict(
    name='miniscapes', protocol='miniscapes-256x128', num_classes=19, crop_size=(128, 256),
    test_cfg=dict(mode='whole'))
data_root = 'data/miniscapes'
train_pipeline = [
    dict(type='LoadDomainImage'),
    dict(type='LoadLabels'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='FastPhotoMetricDistortion'),
    dict(type='PackDomainInputs')]
test_pipeline = [
    dict(type='LoadDomainImage'), dict(type='LoadLabels'), dict(type='PackDomainInputs')]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='StreamSampler'),
    dataset=dict(
        type='MiniScapesDataset', domain=source, split='train', count=400,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(type='MiniScapesDataset', domain=domain, split='val', count=40, test_mode=True,
                 pipeline=test_pipeline)
            for domain in [source] + targets]))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='DomainIoUMetric', source=source, targets=targets, protocol=benchmark['protocol'])
test_evaluator = val_evaluator
