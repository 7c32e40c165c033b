# Diseased spots on leaves: 498 training images, 49 of them held out to choose the checkpoint; 90 test
# images. Two csv say which of the images are which. Official rate: schedules/adamw_conv_lora_3e4.py.
_base_ = './binary_1024.py'
source, targets = 'leaf_val', ['leaf']
epochs = 30
benchmark = dict(name='leaf_disease', selection=dict(metric=f'{source}/IoU_image', rule='greater'))
# as remembered: docs/reference/datasets.md
expected_images = dict(train=dict(leaf_train=449), val=dict(leaf_val=49), test=dict(leaf=90))
images = dict(
    type='BinaryFolderDataset', domain=source, metainfo=dict(classes=('background', 'disease')),
    csv='leaf_disease/{split}.csv', split='train', threshold=128)
train_dataloader = dict(dataset=dict(images, domain='leaf_train', part='train'))
val_dataloader = dict(dataset=dict(images, part='val', test_mode=True))
test_dataloader = dict(dataset=dict(images, domain='leaf', split='test', test_mode=True))
val_evaluator = dict(source=source)
test_evaluator = dict(targets=targets)
