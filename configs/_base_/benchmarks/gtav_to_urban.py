# GTAV -> Cityscapes, BDD100K, Mapillary Vistas: protocol rein512 of Wei et al. (CVPR 2024).
# Data as downloaded, raw ids mapped at load; layouts: docs/datasets.md.
targets = ['cityscapes', 'bdd100k', 'mapillary']
benchmark = dict(
    name='gtav_to_urban', protocol='rein512', num_classes=19, crop_size=(512, 512),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341), batch_windows=8))
expected_images = dict(
    train=dict(gtav=24966), val=dict(cityscapes=500, bdd100k=1000, mapillary=2000))
data_root = 'data'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='RandomChoiceResize', scales=[int(512 * x * 0.1) for x in range(5, 21)],
         resize_type='ResizeShortestEdge', max_size=2048),
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDomainInputs')]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='StreamSampler'),
    dataset=dict(
        type='CityscapesSpaceDataset', domain='gtav', label_ids='cityscapes',
        data_prefix=dict(img_path='gta/images', seg_map_path='gta/labels'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(type='CityscapesSpaceDataset', domain='cityscapes', label_ids='cityscapes',
                 img_suffix='_leftImg8bit.png', seg_map_suffix='_gtFine_labelIds.png',
                 data_prefix=dict(img_path='cityscapes/leftImg8bit/val',
                                  seg_map_path='cityscapes/gtFine/val'),
                 test_mode=True,
                 pipeline=[
                     dict(type='LoadImageFromFile'),
                     dict(type='Resize', scale=(1024, 512), keep_ratio=True),
                     dict(type='LoadLabels'), dict(type='PackDomainInputs')]),
            dict(type='CityscapesSpaceDataset', domain='bdd100k', label_ids='train',
                 img_suffix='.jpg', seg_map_suffix='.png',
                 data_prefix=dict(img_path='bdd100k/images/10k/val',
                                  seg_map_path='bdd100k/labels/sem_seg/masks/val'),
                 test_mode=True,
                 pipeline=[
                     dict(type='LoadImageFromFile'),
                     dict(type='Resize', scale=(1280, 720), keep_ratio=True),
                     dict(type='LoadLabels'), dict(type='PackDomainInputs')]),
            dict(type='CityscapesSpaceDataset', domain='mapillary', label_ids='mapillary',
                 img_suffix='.jpg', seg_map_suffix='.png',
                 data_prefix=dict(img_path='mapillary/validation/images',
                                  seg_map_path='mapillary/validation/labels'),
                 test_mode=True,
                 pipeline=[
                     dict(type='LoadImageFromFile'), dict(type='HalveImage'),
                     dict(type='Resize', scale=(1024, 512), keep_ratio=True),
                     dict(type='LoadLabels'), dict(type='HalveLabel'),
                     dict(type='PackDomainInputs')])]))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='DomainIoUMetric', targets=targets, protocol=benchmark['protocol'])
test_evaluator = val_evaluator
