# Trained on COCO-Stuff 164k, tested on the 20 classes of PASCAL VOC: the model reads the
# names of the test's classes, so it needs a text branch.
benchmark = 'coco_stuff_to_voc20'
