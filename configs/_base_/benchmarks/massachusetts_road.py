# Roads from above: Massachusetts Roads, 1108 training, 14 validation, 49 test images of 1500x1500.
# Official rate: schedules/adamw_conv_lora_3e4.py.
_base_ = './binary_1024.py'
source, targets = 'road_val', ['road']
epochs = 20
benchmark = dict(
    name='massachusetts_road', selection=dict(metric=f'{source}/IoU_image', rule='greater'))
# as remembered: docs/reference/datasets.md
expected_images = dict(train=dict(road_train=1108), val=dict(road_val=14), test=dict(road=49))
images = dict(
    type='BinaryFolderDataset', metainfo=dict(classes=('background', 'road')),
    data_prefix=dict(img_path='massachusetts_road/tiff/{split}',
                     seg_map_path='massachusetts_road/tiff/{split}_labels'),
    img_suffix=('.tiff', '.tif'), seg_map_suffix=('.tif', '.tiff'), threshold=128)
train_dataloader = dict(dataset=dict(images, domain='road_train', split='train'))
val_dataloader = dict(dataset=dict(images, domain=source, split='val', test_mode=True))
test_dataloader = dict(dataset=dict(images, domain='road', split='test', test_mode=True))
val_evaluator = dict(source=source)
test_evaluator = dict(targets=targets)
