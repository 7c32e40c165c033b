# COCO-Stuff 164k, all 171 classes labelled: the upper bound of coco_stuff_156_15.
benchmark = 'coco_stuff'
