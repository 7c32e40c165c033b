"""Files of data sets: which there are, which belong together, how labels are read."""
