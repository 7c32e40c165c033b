# The embedded binary benchmark: procedural lesions and animals in camouflage, drawn on first use
# into data/blobs. Source tissue; unseen targets pale, dark, noisy, leafy. Classes background, blob.
source = 'tissue'
targets = ['pale', 'dark', 'noisy', 'leafy']
benchmark = dict(
    name='blobs', protocol='blobs-128', num_classes=2, crop_size=(128, 128),
    test_cfg=dict(mode='whole', keep_scores=True),
    selection=dict(metric=f'{source}/Dice_set', rule='greater'))
data_root = 'data/blobs'
train_pipeline = [
    dict(type='LoadDomainImage'),
    dict(type='LoadLabels'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDomainInputs')]
test_pipeline = [
    dict(type='LoadDomainImage'), dict(type='LoadLabels'), dict(type='PackDomainInputs')]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='StreamSampler'),
    dataset=dict(
        type='BlobsDataset', domain=source, split='train', count=400,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(type='BlobsDataset', domain=domain, split='val', count=60, test_mode=True,
                 pipeline=test_pipeline)
            for domain in [source] + targets]))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='BinarySegMetric', source=source, targets=targets, protocol=benchmark['protocol'])
test_evaluator = val_evaluator
