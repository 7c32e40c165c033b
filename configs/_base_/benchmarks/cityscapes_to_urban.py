# Cityscapes -> BDD100K, Mapillary Vistas; the source's own val images are scored, too, and not in the
# mean.
benchmark = 'cityscapes_to_urban'
