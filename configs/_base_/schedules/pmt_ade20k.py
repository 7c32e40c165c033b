# The schedule of PMT-L with DINOv3 on ADE20K, from the code of its authors (CVPR 2026 workshops): 16
# epochs in batches of 16 images over all GPUs, a linear warm-up, a cosine; the encoder is frozen.
_base_ = ['./eomt_ade20k_dinov3.py']
max_iters = 20192
optim_wrapper = dict(paramwise_cfg=dict(late_prefixes=[]))
param_scheduler = [
    dict(type='LinearCosineLR', warmup=6000, eta_min=1e-9, begin=0, end=max_iters, by_epoch=False)]
default_hooks = dict(mask_annealing=dict(
    starts=[0, 5384, 7403, 9422, 11442, 13461], ends=[3000, 8749, 10769, 12788, 14807, 16826]))
