# Cityscapes -> ACDC's four conditions, their val images at 1920x1080; 1024 crops, 4 GPUs x 2 images.
# The published scores are of the test server, whose labels are not public: docs/datasets.md.
targets = ['night', 'snow', 'fog', 'rain']
benchmark = dict(
    name='cityscapes_to_acdc', protocol='acdc-val-1920x1080, 1024 crops', num_classes=19,
    crop_size=(1024, 1024),
    test_cfg=dict(mode='slide', crop_size=(1024, 1024), stride=(683, 683), batch_windows=2))
# fog: one source says 106, another 100
expected_images = dict(val=dict(night=106, rain=100, snow=100))
data_root = 'data'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='RandomChoiceResize', scales=[int(1024 * x * 0.1) for x in range(5, 21)],
         resize_type='ResizeShortestEdge', max_size=4096),
    dict(type='RandomCrop', crop_size=(1024, 1024), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDomainInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='Resize', scale=(1920, 1080), keep_ratio=True),
    dict(type='LoadLabels'), dict(type='PackDomainInputs')]
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='StreamSampler'),
    dataset=dict(
        type='CityscapesSpaceDataset', domain='cityscapes', label_ids='cityscapes',
        img_suffix='_leftImg8bit.png', seg_map_suffix='_gtFine_labelIds.png',
        data_prefix=dict(img_path='cityscapes/leftImg8bit/train',
                         seg_map_path='cityscapes/gtFine/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(type='CityscapesSpaceDataset', domain=domain, label_ids='train',
                 img_suffix='_rgb_anon.png', seg_map_suffix='_gt_labelTrainIds.png',
                 data_prefix=dict(img_path=f'acdc/rgb_anon/{domain}/val',
                                  seg_map_path=f'acdc/gt/{domain}/val'),
                 test_mode=True, pipeline=test_pipeline)
            for domain in targets]))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='DomainIoUMetric', targets=targets, protocol=benchmark['protocol'])
test_evaluator = val_evaluator
