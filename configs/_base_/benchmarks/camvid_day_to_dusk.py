# CamVid: source day, target dusk, 11 classes, 480x360 frames.
source, target = 'day', 'dusk'
benchmark = dict(
    name='camvid_day_to_dusk', protocol='camvid-480x360', num_classes=11, crop_size=(256, 256),
    test_cfg=dict(mode='slide', crop_size=(256, 256), stride=(104, 224), batch_windows=4))
data_root = 'data/camvid'
train_pipeline = [
    dict(type='LoadDomainImage'),
    dict(type='LoadLabels'),
    dict(type='RandomChoiceResize', scales=[int(360 * s * 0.1) for s in range(8, 16)],
         resize_type='ResizeShortestEdge', max_size=1920),
    dict(type='FastRandomCrop', crop_size=(256, 256), cat_max_ratio=0.75),
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
        type='CamVidDataset', domain=source, split='day_train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(type='CamVidDataset', domain=domain, split=f'{domain}_val', test_mode=True,
                 pipeline=test_pipeline)
            for domain in (source, target)]))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='DomainIoUMetric', source=source, targets=[target], protocol=benchmark['protocol'])
test_evaluator = val_evaluator
