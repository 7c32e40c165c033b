# As dinov2_large.py with positions for 1024x1024 images: resampled from the file to 64x64 at load.
_base_ = './dinov2_large.py'
encoder = dict(img_size=1024)
