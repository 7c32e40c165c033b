# Skin lesions: ISIC 2018, task 1, as downloaded; 2594 training, 100 validation, 1000 test images.
benchmark = 'isic2018'
