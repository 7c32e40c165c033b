# Regions of the 15 seen classes of MiniScapes, a picture for each class of an image; 16 of each train.
benchmark = 'miniscapes_regions'
