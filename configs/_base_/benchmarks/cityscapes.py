# Cityscapes: its train images, and the mean over its own val images. No domain shift.
benchmark = 'cityscapes'
