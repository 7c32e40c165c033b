# PASCAL VOC 2012 without background, training labels of SBD added: 15 seen, 5 unseen classes,
# data/VOCdevkit/VOC2012. Scores pAcc, S, U and hIoU of the 1449 validation images.
benchmark = 'voc20_15_5'
