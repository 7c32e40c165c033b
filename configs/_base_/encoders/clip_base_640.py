# CLIP ViT-B/16 for crops of 640.
_base_ = './clip_base.py'
encoder = dict(img_size=640)
