"""From a folder of images and masks to a data file, classes and splits included."""
