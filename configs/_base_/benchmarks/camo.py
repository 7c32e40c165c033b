# Camouflaged objects: SINet's 4040 training images of COD10K and CAMO, 404 of them held out to
# choose the checkpoint; test CAMO (250).
_base_ = './binary_1024.py'
source, targets = 'camo_val', ['camo']
epochs = 20
benchmark = dict(name='camo', selection=dict(metric=f'{source}/S', rule='greater'))
# as remembered: docs/reference/datasets.md
expected_images = dict(train=dict(camo_train=3636), val=dict(camo_val=404), test=dict(camo=250))
images = dict(
    type='BinaryFolderDataset', domain=source, metainfo=dict(classes=('background', 'camouflaged')),
    data_prefix=dict(img_path='camo/TrainDataset/Imgs', seg_map_path='camo/TrainDataset/GT'),
    threshold=128)
train_dataloader = dict(dataset=dict(images, domain='camo_train', part='train'))
val_dataloader = dict(dataset=dict(images, part='val', test_mode=True))
test_dataloader = dict(
    dataset=dict(
        images, domain='camo', test_mode=True,
        data_prefix=dict(img_path='camo/TestDataset/CAMO/Imgs',
                         seg_map_path='camo/TestDataset/CAMO/GT')))
val_evaluator = dict(source=source)
test_evaluator = dict(targets=targets)
