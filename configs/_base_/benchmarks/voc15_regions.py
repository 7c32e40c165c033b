# Regions of the 15 seen classes of PASCAL VOC, a picture for each class of an image; 128 of each train. Data in
# data/VOCdevkit/VOC2012.
benchmark = 'voc15_regions'
