# GTAV, SYNTHIA and UrbanSyn -> Cityscapes, BDD100K, Mapillary Vistas; mixed by their numbers of
# images (24,966, 9,400 and 7,539). No published statement found of how published
# runs mix them.
benchmark = 'gtav_synthia_urbansyn_to_urban'
