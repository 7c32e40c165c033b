# PASCAL VOC 2012 without background, all 20 classes labelled: the upper bound of voc20_15_5.
benchmark = 'voc20'
