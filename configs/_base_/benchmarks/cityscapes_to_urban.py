# Cityscapes -> BDD100K, Mapillary Vistas; the source's own val images are scored, too, and not in the
# mean.
_base_ = './gtav_to_urban.py'
source, targets = 'cityscapes', ['bdd100k', 'mapillary']
benchmark = dict(name='cityscapes_to_urban')
train_dataloader = dict(dataset=dict(domain=source, layout='cityscapes', split='train'))
val_evaluator = dict(source=source, targets=targets)
test_evaluator = val_evaluator
