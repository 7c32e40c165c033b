# COCO-Stuff 164k: 156 seen, 15 unseen classes, data/coco_stuff164k. Scores pAcc, S, U and hIoU of
# the 5000 validation images.
benchmark = 'coco_stuff_156_15'
