# Skin lesions: ISIC 2017, part 1; 2000 training, 150 validation, 600 test images. The superpixels
# (png) that lie beside the images (jpg) are left alone.
benchmark = 'isic2017'
