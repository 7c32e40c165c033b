# Polyps: PraNet's 1450 training images of Kvasir and CVC-ClinicDB, 145 of them held out to choose
# the checkpoint; tests Kvasir (100) and CVC-ClinicDB = CVC-612 (62).
_base_ = './binary_1024.py'
source, targets = 'polyp_val', ['kvasir', 'cvc612']
epochs = 30
benchmark = dict(name='polyp', selection=dict(metric=f'{source}/S', rule='greater'))
# as remembered: docs/reference/datasets.md
expected_images = dict(
    train=dict(polyp=1305), val=dict(polyp_val=145), test=dict(kvasir=100, cvc612=62))
images = dict(
    type='BinaryFolderDataset', domain=source, metainfo=dict(classes=('background', 'polyp')),
    data_prefix=dict(img_path='polyp/TrainDataset/images', seg_map_path='polyp/TrainDataset/masks'),
    threshold=128)
train_dataloader = dict(dataset=dict(images, domain='polyp', part='train'))
val_dataloader = dict(dataset=dict(images, part='val', test_mode=True))
test_dataloader = dict(
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(images, domain=domain, test_mode=True,
                 data_prefix=dict(img_path=f'polyp/TestDataset/{folder}/images',
                                  seg_map_path=f'polyp/TestDataset/{folder}/masks'))
            for domain, folder in zip(targets, ('Kvasir', 'CVC-ClinicDB'))]))
val_evaluator = dict(source=source)
test_evaluator = dict(targets=targets)
