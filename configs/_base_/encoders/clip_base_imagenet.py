# CLIP ViT-B/16 for images normalised as ImageNet's, as ZegCLIP uses it.
_base_ = './clip_base.py'
encoder = dict(
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375))
