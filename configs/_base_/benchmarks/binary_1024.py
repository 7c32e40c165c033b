# What Conv-LoRA's tasks share: images squeezed into a square of 1024, flips, nothing else. One
# thing and its background; a task names its data sets. No data set says a pipeline: they take the
# protocol's.
protocol = 'original'  # scores at the size of the label's file; square1024: officially, at 1024x1024
data_root = 'data'
square = dict(type='Resize', scale=(1024, 1024), interpolation='bicubic', backend='pillow')
train_pipeline = [
    dict(type='LoadDomainImage'), dict(type='LoadLabels'), square,
    dict(type='RandomFlip', prob=0.5), dict(type='PackDomainInputs')]
protocols = dict(
    original=dict(
        train_pipeline=train_pipeline,
        test_pipelines=dict(
            default=[
                dict(type='LoadDomainImage'), square, dict(type='LoadLabels'),
                dict(type='PackDomainInputs')])),
    square1024=dict(
        train_pipeline=train_pipeline,
        test_pipelines=dict(
            default=[
                dict(type='LoadDomainImage'), dict(type='LoadLabels'), square,
                dict(type='ScoreAtInputSize'), dict(type='PackDomainInputs')])))
benchmark = dict(
    num_classes=2, crop_size=(1024, 1024), test_cfg=dict(mode='whole', keep_scores=True))
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='StreamSampler'))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_evaluator = dict(type='BinarySegMetric')
test_evaluator = dict(type='BinarySegMetric')
