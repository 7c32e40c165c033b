# Cityscapes -> Cityscapes-C: its val images under 15 corruptions x 5 severities, made as they are
# loaded (pip install 'rein-seg[corruptions]'). A training run validates on the images as they are;
# tools/test.py scores the 75 domains, 500 images each, and their plain mean.
_base_ = './cityscapes_to_urban.py'
source = 'cityscapes'
corruptions = [
    'gaussian_noise', 'shot_noise', 'impulse_noise', 'defocus_blur', 'glass_blur', 'motion_blur',
    'zoom_blur', 'snow', 'frost', 'fog', 'brightness', 'contrast', 'elastic_transform', 'pixelate',
    'jpeg_compression']
targets = [f'{name}_{severity}' for name in corruptions for severity in range(1, 6)]
benchmark = dict(
    name='cityscapes_to_cityscapes_c', evaluated_as={target: source for target in targets})
images = dict(
    type='CityscapesSpaceDataset', layout='cityscapes', split='val', test_mode=True)
val_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[dict(images, domain=source)]))
test_dataloader = dict(
    dataset=dict(
        _delete_=True, type='ConcatDataset',
        datasets=[
            dict(images, domain=f'{name}_{severity}', corruption=(name, severity))
            for name in corruptions for severity in range(1, 6)]))
val_evaluator = dict(_delete_=True, type='DomainIoUMetric', source=source)
test_evaluator = dict(_delete_=True, type='DomainIoUMetric', targets=targets)
