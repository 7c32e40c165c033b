# GTAV, SYNTHIA and UrbanSyn -> Cityscapes, BDD100K, Mapillary Vistas; mixed by their numbers of
# images (24,966, 9,400 and 7,539). How published runs mix them is not in our notes.
_base_ = './gtav_to_urban.py'
benchmark = dict(name='gtav_synthia_urbansyn_to_urban')
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='ConcatDataset',
        datasets=[
            dict(type='CityscapesSpaceDataset', domain=name, layout=name)
            for name in ('gtav', 'synthia', 'urbansyn')]))
