# Transparent things: Trans10K-v2, 5000 training, 1000 validation, 4428 test images; 12 classes with
# the background. Names and order of the classes, sizes and layout are from memory: docs/reference/datasets.md.
benchmark = 'trans10k_v2'
