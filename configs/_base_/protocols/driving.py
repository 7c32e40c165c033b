# Named protocols of synthetic driving scenes -> Cityscapes, BDD100K, Mapillary Vistas: how a published
# number was trained, how its checkpoint was chosen, what is scored at which size. docs/reference/protocols.md has
# them side by side. `not_known`: what our notes of a protocol lack, and what stands here in its place.
# `left_out`: what is known to belong to it and is missing here; results name it.


def fit(width, height, halved=False):
    """Images inside width x height, scored at the label's size; halved: image and label first."""
    halve_image, halve_label = (
        ([dict(type='HalveImage')], [dict(type='HalveLabel')]) if halved else ([], []))
    return [
        dict(type='LoadDomainImage'), *halve_image,
        dict(type='Resize', scale=(width, height), keep_ratio=True), dict(type='LoadLabels'),
        *halve_label, dict(type='PackDomainInputs')]


def crops(side, resize, crop='FastRandomCrop'):
    return [
        dict(type='LoadDomainImage'), dict(type='LoadLabels'), resize,
        dict(type=crop, crop_size=(side, side), cat_max_ratio=0.75),
        dict(type='RandomFlip', prob=0.5), dict(type='FastPhotoMetricDistortion'),
        dict(type='PackDomainInputs')]


def shortest_edge(side):
    return dict(
        type='RandomChoiceResize', scales=[int(side * x * 0.1) for x in range(5, 21)],
        resize_type='ResizeShortestEdge', max_size=4 * side)


def slide(side, stride, windows):
    return dict(mode='slide', crop_size=(side, side), stride=(stride, stride), batch_windows=windows)


def adamw(lr, weight_decay, backbone=None):
    """No decay of norms, queries and level embeddings; tokens and scales: their method says so."""
    paramwise = dict(
        norm_decay_mult=0.0,
        custom_keys={
            name: dict(decay_mult=0.0)
            for name in ('norm', 'query_embed', 'query_feat', 'level_embed', 'level_encoding')})
    if backbone is not None:
        paramwise['prefix_lr_mult'] = {'backbone.': backbone}
    return dict(
        constructor='TrainableOptimConstructor',
        optimizer=dict(
            type='AdamW', lr=lr, weight_decay=weight_decay, betas=(0.9, 0.999), eps=1e-8),
        paramwise_cfg=paramwise)


def poly(begin=0):
    return dict(type='PolyLR', eta_min=0.0, power=0.9, begin=begin, end=None, by_epoch=False)


def warmup(end):
    return dict(type='LinearLR', start_factor=1e-6, begin=0, end=end, by_epoch=False)


RARE = dict(type='RareClassSampler')
RARE_UNSAID = 'temperature and least pixels of rare class sampling: here as DAFormer, 0.01 and 3000'
UNSAID = (
    'augmentation, cat_max_ratio: here flip 0.5, PhotoMetricDistortion and 0.75, as rein512',
    'power of the poly schedule, betas and eps of AdamW: here as rein512')

protocols = dict(
    # Wei et al., CVPR 2024. Officially level_encoding decays: its name matches none of their keys.
    rein512=dict(
        crop_size=(512, 512), batch_size=4, gpus=1, train_pipeline=crops(512, shortest_edge(512)),
        optim_wrapper=adamw(1e-4, 0.05), param_scheduler=[poly()],
        max_iters=40000, val_interval=10000, selection='last',
        test_cfg=slide(512, 341, 8),
        test_pipelines=dict(
            cityscapes=fit(1024, 512), bdd100k=fit(1280, 720),
            mapillary=fit(1024, 512, halved=True))),
    rein1024=dict(
        crop_size=(1024, 1024), batch_size=2, gpus=4,
        train_pipeline=crops(1024, shortest_edge(1024)),
        optim_wrapper=adamw(6e-5, 0.05), param_scheduler=[warmup(10000), poly(10000)],
        max_iters=40000, val_interval=10000, selection='last',
        test_cfg=slide(1024, 683, 2),
        test_pipelines=dict(
            cityscapes=fit(2048, 1024), bdd100k=fit(2048, 1024),
            mapillary=fit(2048, 1024, halved=True)),
        not_known=[
            'size of the test images: here inside 2048x1024, so that windows are whole',
            'whether Mapillary is halved: here as rein512']),
    # SoMA: the checkpoint is the best on the test images, among those of every 4000.
    soma512=dict(
        crop_size=(512, 512), batch_size=4, gpus=1, train_pipeline=crops(512, shortest_edge(512)),
        optim_wrapper=adamw(1e-4, 0.05, backbone=0.5),
        param_scheduler=[
            poly(),
            dict(type='CosineAnnealingParamScheduler', param_name='weight_decay',
                 eta_min_ratio=1e-5 / 0.05, begin=0, end=None, by_epoch=False)],
        max_iters=40000, val_interval=4000,
        selection=dict(metric='mean/mIoU', rule='greater'),
        ema=dict(begin=12000, momentum=0.0002),
        test_cfg=slide(512, 341, 8),
        test_pipelines=dict(
            cityscapes=fit(2048, 1024), bdd100k=fit(1280, 720),
            mapillary=fit(2048, 1024, halved=True)),
        not_known=["momentum of the average: here 0.0002, mmengine's default"]),
    tqdm=dict(
        crop_size=(512, 512), batch_size=8, source_split='train', sampler=RARE,
        train_pipeline=crops(
            512, dict(type='RandomScale', ratio_range=(0.5, 2.0)), 'RareClassCrop'),
        optim_wrapper=adamw(1e-5, 1e-4, backbone=0.1),
        param_scheduler=[warmup(1500), poly(1500)],
        max_iters=20000, val_interval=20000, selection='last',
        test_cfg=slide(512, 341, 8),
        test_pipelines=dict(
            cityscapes=fit(2048, 1024), bdd100k=fit(1280, 720), mapillary=fit(2048, 1024)),
        not_known=[
            'number of GPUs, each with 8 images',
            'the size that the ratio 0.5 to 2 is of: here that of the image',
            'start of the warm-up: here a millionth', RARE_UNSAID, *UNSAID]),
    mfuser=dict(
        crop_size=(512, 512), batch_size=2, sampler=RARE,
        train_pipeline=crops(
            512, dict(type='RandomScale', ratio_range=(0.5, 2.0)), 'RareClassCrop'),
        optim_wrapper=adamw(1e-4, 1e-5), param_scheduler=[warmup(1500), poly(1500)],
        max_iters=20000, val_interval=20000, selection='last',
        test_cfg=slide(512, 341, 8),
        test_pipelines=dict(
            cityscapes=fit(2048, 1024), bdd100k=fit(1280, 720), mapillary=fit(2048, 1024)),
        not_known=[
            'number of GPUs, each with 2 images',
            'the size that the ratio 0.5 to 2 is of: here that of the image',
            'start of the warm-up: here a millionth', RARE_UNSAID, *UNSAID]),
    vfmseg=dict(
        crop_size=(1024, 1024), batch_size=2, gpus=1, sampler=RARE,
        train_pipeline=crops(
            1024, dict(type='Resize', scale=(2560, 1440), keep_ratio=True), 'RareClassCrop'),
        optim_wrapper=adamw(1e-4, 0.05), param_scheduler=[poly()],
        max_iters=40000, val_interval=4000, selection='last', also_selects=['cityscapes/mIoU'],
        test_cfg=slide(512, 320, 8),
        test_pipelines=dict(
            cityscapes=fit(2048, 1024), bdd100k=fit(2048, 1024), mapillary=fit(2048, 1024)),
        left_out=dict(
            training=['scales of the resize around 2560x1440'],
            evaluation=['second stage of inference']),
        not_known=[
            'range of the multi-scale resize: here 2560x1440 alone',
            'iterations between validations, of which the best is kept: here 4000',
            'the second stage of inference',
            'which numbers are of the last checkpoint, which of the best on Cityscapes: here the '
            'last, or default_hooks.checkpoint.save_best=cityscapes/mIoU', RARE_UNSAID, *UNSAID]),
    # A re-implementation; the original's protocol is not in our notes.
    vltseg=dict(
        crop_size=(512, 512), batch_size=16, gpus=1,
        train_pipeline=crops(512, dict(type='Resize', scale=(1280, 720), keep_ratio=True)),
        optim_wrapper=adamw(1e-4, 0.05, backbone=0.1), param_scheduler=[poly(500)],
        max_iters=5000, val_interval=5000, selection='last',
        test_cfg=slide(512, 426, 8),
        test_pipelines=dict(
            cityscapes=fit(1024, 512), bdd100k=fit(1024, 512), mapillary=fit(1024, 512)),
        not_known=[
            'rate of the first 500 iterations: here the full one', *UNSAID]))
del RARE, RARE_UNSAID, UNSAID
