# Shadows: SBU, 4085 training images, 408 of them held out to choose the checkpoint; 638 test images.
_base_ = './binary_1024.py'
source, targets = 'sbu_val', ['sbu']
epochs = 10
benchmark = dict(name='sbu_shadow', selection=dict(metric=f'{source}/BER', rule='less'))
# as remembered: docs/reference/datasets.md
expected_images = dict(train=dict(sbu_train=3677), val=dict(sbu_val=408), test=dict(sbu=638))
images = dict(
    type='BinaryFolderDataset', domain=source, metainfo=dict(classes=('background', 'shadow')),
    data_prefix=dict(img_path='SBU-shadow/{split}/ShadowImages',
                     seg_map_path='SBU-shadow/{split}/ShadowMasks'),
    split='SBUTrain4KRecoveredSmall', threshold=128, extra_labels=True)
train_dataloader = dict(dataset=dict(images, domain='sbu_train', part='train'))
val_dataloader = dict(dataset=dict(images, part='val', test_mode=True))
test_dataloader = dict(dataset=dict(images, domain='sbu', split='SBU-Test', test_mode=True))
val_evaluator = dict(source=source)
test_evaluator = dict(targets=targets)
