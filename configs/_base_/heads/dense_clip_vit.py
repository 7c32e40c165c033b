# DenseCLIP on a ViT, whose maps a trained pyramid brings to strides 4 to 32.
_base_ = './dense_clip.py'
neck = dict(factors=(4, 2, 1, 0.5))
