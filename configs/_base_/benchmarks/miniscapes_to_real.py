# Drawn streets -> CamVid by day and at dusk, KITTI, 24 frames of BDD100K; 11 classes.
benchmark = 'miniscapes_to_real'
