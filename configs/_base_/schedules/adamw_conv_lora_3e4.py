# Conv-LoRA's schedule for leaf disease and roads: as adamw_conv_lora.py with a higher rate.
_base_ = './adamw_conv_lora.py'
optim_wrapper = dict(optimizer=dict(lr=3e-4))
