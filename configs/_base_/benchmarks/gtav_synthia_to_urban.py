# GTAV and SYNTHIA-RAND-CITYSCAPES -> Cityscapes, BDD100K, Mapillary Vistas. An image of either is as
# likely as another: 24,966 and 9,400. No published
# statement found of how published runs mix the two.
benchmark = 'gtav_synthia_to_urban'
