# Trained on COCO-Stuff 164k, tested on the 150 classes of ADE20K: the model reads the names of the
# test's classes, so it needs a text branch.
benchmark = 'coco_stuff_to_ade20k'
