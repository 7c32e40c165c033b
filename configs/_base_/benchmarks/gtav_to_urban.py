# GTAV -> Cityscapes, BDD100K, Mapillary Vistas. Data as downloaded, raw ids mapped at load; layouts:
# docs/datasets.md. Crops, schedule and sizes are the protocol's, one word: docs/protocols.md.
_base_ = '../protocols/driving.py'
protocol = 'rein512'
targets = ['cityscapes', 'bdd100k', 'mapillary']
benchmark = dict(name='gtav_to_urban', num_classes=19)
data_root = 'data'
train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='StreamSampler'),
    dataset=dict(
        type='CityscapesSpaceDataset', domain='gtav', label_ids='cityscapes',
        data_prefix=dict(img_path='gta/images', seg_map_path='gta/labels')))
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
                 test_mode=True),
            dict(type='CityscapesSpaceDataset', domain='bdd100k', label_ids='train',
                 img_suffix='.jpg', seg_map_suffix='.png',
                 data_prefix=dict(img_path='bdd100k/images/10k/val',
                                  seg_map_path='bdd100k/labels/sem_seg/masks/val'),
                 test_mode=True),
            dict(type='CityscapesSpaceDataset', domain='mapillary', label_ids='mapillary',
                 img_suffix='.jpg', seg_map_suffix='.png',
                 data_prefix=dict(img_path='mapillary/validation/images',
                                  seg_map_path='mapillary/validation/labels'),
                 test_mode=True)]))
test_dataloader = val_dataloader
val_evaluator = dict(type='DomainIoUMetric', targets=targets)
test_evaluator = val_evaluator
