# Cityscapes -> ACDC's four conditions, their val images at 1920x1080; trained as rein1024.
# The published scores are of the test server, whose labels are not public: docs/reference/datasets.md.
benchmark = 'cityscapes_to_acdc'
