# GTAV -> Cityscapes, BDD100K, Mapillary Vistas. Data as downloaded, raw ids mapped at load; layouts:
# docs/reference/datasets.md. Crops, schedule and sizes are the protocol's, one word: docs/reference/protocols.md.
benchmark = 'gtav_to_urban'
