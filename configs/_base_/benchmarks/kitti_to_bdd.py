# KITTI -> 24 frames of BDD100K: real images, 19 classes.
benchmark = 'kitti_to_bdd'
