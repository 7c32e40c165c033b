# GTAV and SYNTHIA-RAND-CITYSCAPES -> Cityscapes, BDD100K, Mapillary Vistas. An image of either is as
# likely as another: 24,966 and 9,400. How published runs mix the two is not in our notes.
_base_ = './gtav_to_urban.py'
benchmark = dict(name='gtav_synthia_to_urban')
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='ConcatDataset',
        datasets=[
            dict(type='CityscapesSpaceDataset', domain=name, layout=name)
            for name in ('gtav', 'synthia')]))
