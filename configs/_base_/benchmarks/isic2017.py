# Skin lesions: ISIC 2017, part 1; 2000 training, 150 validation, 600 test images. The superpixels
# (png) that lie beside the images (jpg) are left alone.
_base_ = './binary_1024.py'
source, targets = 'isic2017_val', ['isic2017']
epochs = 30
benchmark = dict(name='isic2017', selection=dict(metric=f'{source}/IoU_image', rule='greater'))
# as remembered: docs/reference/datasets.md
expected_images = dict(
    train=dict(isic2017_train=2000), val=dict(isic2017_val=150), test=dict(isic2017=600))
images = dict(
    type='BinaryFolderDataset', metainfo=dict(classes=('background', 'lesion')),
    data_prefix=dict(img_path='isic2017/ISIC-2017_{split}_Data',
                     seg_map_path='isic2017/ISIC-2017_{split}_Part1_GroundTruth'),
    img_suffix='.jpg', seg_map_suffix='_segmentation.png')
train_dataloader = dict(dataset=dict(images, domain='isic2017_train', split='Training'))
val_dataloader = dict(dataset=dict(images, domain=source, split='Validation', test_mode=True))
test_dataloader = dict(dataset=dict(images, domain='isic2017', split='Test_v2', test_mode=True))
val_evaluator = dict(source=source)
test_evaluator = dict(targets=targets)
