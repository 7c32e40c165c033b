# Shadows: SBU, 4085 training images, 408 of them held out to choose the checkpoint; 638 test images.
benchmark = 'sbu_shadow'
