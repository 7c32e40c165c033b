# CamVid by day -> CamVid at dusk, KITTI, 24 frames of BDD100K: real images, 11 classes.
benchmark = 'camvid_to_kitti'
