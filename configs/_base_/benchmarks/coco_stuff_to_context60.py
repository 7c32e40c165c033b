# Trained on COCO-Stuff 164k, tested on 60 classes of PASCAL-Context, with background: the model reads the
# names of the test's classes, so it needs a text branch.
benchmark = 'coco_stuff_to_context60'
