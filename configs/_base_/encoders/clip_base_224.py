# CLIP ViT-B/16 (Radford et al., 2021) as its authors use it: images of 224, the class embedding once.
_base_ = './clip_base.py'
encoder = dict(img_size=224, out_indices=[11], class_embedding_twice=False)
