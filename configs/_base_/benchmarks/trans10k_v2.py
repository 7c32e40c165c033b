# Transparent things: Trans10K-v2, 5000 training, 1000 validation, 4428 test images; 12 classes with
# the background. Names and order of the classes, sizes and layout are from memory: docs/reference/datasets.md.
_base_ = './binary_1024.py'
source, targets = 'trans10k_val', ['trans10k']
epochs = 30  # of binary tasks; the paper's number for this one is not known to us
benchmark = dict(
    name='trans10k_v2', num_classes=12, test_cfg=dict(keep_scores=False),
    selection=dict(metric=f'{source}/mIoU', rule='greater'))
images = dict(
    type='FolderDataset',
    metainfo=dict(
        classes=('background', 'shelf', 'jar or tank', 'freezer', 'window', 'glass door',
                 'eyeglass', 'cup', 'glass wall', 'glass bowl', 'water bottle', 'storage box')),
    data_prefix=dict(img_path='trans10k_v2/{split}/images', seg_map_path='trans10k_v2/{split}/masks'),
    img_suffix='.jpg', seg_map_suffix='_mask.png')
train_dataloader = dict(dataset=dict(images, domain='trans10k_train', split='train'))
val_dataloader = dict(dataset=dict(images, domain=source, split='validation', test_mode=True))
test_dataloader = dict(dataset=dict(images, domain='trans10k', split='test', test_mode=True))
val_evaluator = dict(type='DomainIoUMetric', source=source)
test_evaluator = dict(type='DomainIoUMetric', targets=targets, absent='zero')  # as officially
