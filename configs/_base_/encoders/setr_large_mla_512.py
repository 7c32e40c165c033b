# SETR-MLA's ViT-L for crops of 512.
_base_ = './setr_large_mla.py'
encoder = dict(img_size=512)
