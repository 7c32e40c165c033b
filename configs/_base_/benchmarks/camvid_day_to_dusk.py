# CamVid: source day, target dusk, 11 classes, 480x360 frames.
benchmark = 'camvid_day_to_dusk'
