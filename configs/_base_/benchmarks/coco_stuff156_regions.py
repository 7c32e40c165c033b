# Regions of the 156 seen classes of COCO-Stuff, a picture for each class of an image; 32 of each train. Data
# in data/coco_stuff164k.
benchmark = 'coco_stuff156_regions'
