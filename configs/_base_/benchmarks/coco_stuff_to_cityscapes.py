# Trained on COCO-Stuff 164k, tested on the 19 classes of Cityscapes: the model reads the names of the
# test's classes, so it needs a text branch.
benchmark = 'coco_stuff_to_cityscapes'
