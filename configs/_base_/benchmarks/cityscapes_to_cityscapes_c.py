# Cityscapes -> Cityscapes-C: its val images under 15 corruptions x 5 severities, made as they are
# loaded (pip install 'rein-seg[corruptions]'). A training run validates on the images as they are;
# tools/test.py scores the 75 domains, 500 images each, and their plain mean.
benchmark = 'cityscapes_to_cityscapes_c'
