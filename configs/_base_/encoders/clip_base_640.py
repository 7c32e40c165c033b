# CLIP ViT-B/16 for crops of 640, with stochastic depth where it trains whole, as in DenseCLIP.
_base_ = './clip_base.py'
encoder = dict(img_size=640, drop_path_rate=0.1)
