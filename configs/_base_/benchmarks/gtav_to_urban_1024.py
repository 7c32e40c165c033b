# As gtav_to_urban.py with 1024 crops: 4 GPUs x 2 images. Rein's sizes of the test images for these
# crops are not in our notes; here every window is whole: images inside 2048x1024.
_base_ = './gtav_to_urban.py'
benchmark = dict(
    name='gtav_to_urban_1024', protocol='1024 crops, images in 2048x1024', crop_size=(1024, 1024),
    test_cfg=dict(mode='slide', crop_size=(1024, 1024), stride=(683, 683), batch_windows=2))
fit = dict(type='Resize', scale=(2048, 1024), keep_ratio=True)
train_dataloader = dict(
    batch_size=2,
    dataset=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadLabels'),
        dict(type='RandomChoiceResize', scales=[int(1024 * x * 0.1) for x in range(5, 21)],
             resize_type='ResizeShortestEdge', max_size=4096),
        dict(type='RandomCrop', crop_size=(1024, 1024), cat_max_ratio=0.75),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackDomainInputs')]))
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(type='CityscapesSpaceDataset', domain='cityscapes', label_ids='cityscapes',
                 img_suffix='_leftImg8bit.png', seg_map_suffix='_gtFine_labelIds.png',
                 data_prefix=dict(img_path='cityscapes/leftImg8bit/val',
                                  seg_map_path='cityscapes/gtFine/val'),
                 test_mode=True,
                 pipeline=[
                     dict(type='LoadImageFromFile'), fit,
                     dict(type='LoadLabels'), dict(type='PackDomainInputs')]),
            dict(type='CityscapesSpaceDataset', domain='bdd100k', label_ids='train',
                 img_suffix='.jpg', seg_map_suffix='.png',
                 data_prefix=dict(img_path='bdd100k/images/10k/val',
                                  seg_map_path='bdd100k/labels/sem_seg/masks/val'),
                 test_mode=True,
                 pipeline=[
                     dict(type='LoadImageFromFile'), fit,
                     dict(type='LoadLabels'), dict(type='PackDomainInputs')]),
            dict(type='CityscapesSpaceDataset', domain='mapillary', label_ids='mapillary',
                 img_suffix='.jpg', seg_map_suffix='.png',
                 data_prefix=dict(img_path='mapillary/validation/images',
                                  seg_map_path='mapillary/validation/labels'),
                 test_mode=True,
                 pipeline=[
                     dict(type='LoadImageFromFile'), dict(type='HalveImage'), fit,
                     dict(type='LoadLabels'), dict(type='HalveLabel'),
                     dict(type='PackDomainInputs')])]))
test_dataloader = val_dataloader
val_evaluator = dict(protocol=benchmark['protocol'])
test_evaluator = val_evaluator
