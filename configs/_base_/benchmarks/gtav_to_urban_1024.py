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
# a list is replaced whole: the data sets are those of the base, with another Resize
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(part, pipeline=[
                fit if step['type'] == 'Resize' else step for step in part['pipeline']])
            for part in _base_.val_dataloader.dataset.datasets]))
test_dataloader = val_dataloader
val_evaluator = dict(protocol=benchmark['protocol'])
test_evaluator = val_evaluator
