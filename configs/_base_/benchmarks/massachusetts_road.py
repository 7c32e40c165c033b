# Roads from above: Massachusetts Roads, 1108 training, 14 validation, 49 test images of 1500x1500.
# Official rate: schedules/adamw_conv_lora_3e4.py.
benchmark = 'massachusetts_road'
