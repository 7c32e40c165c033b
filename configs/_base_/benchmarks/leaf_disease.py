# Diseased spots on leaves: 498 training images, 49 of them held out to choose the checkpoint; 90 test
# images. Two csv say which of the images are which. Official rate: schedules/adamw_conv_lora_3e4.py.
benchmark = 'leaf_disease'
