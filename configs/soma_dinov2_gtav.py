# SoMA on DINOv2-L, GTAV -> urban scenes: 4.87 M parameters in blocks 8 to 23, at half the rate of
# the head, weight decay along a cosine from 0.05 to 1e-5. Published mean mIoU: 68.27, with weights
# averaged from iteration 12 000 on, which is not supported here. Starting takes one singular value
# decomposition a weight: minutes.
#   python tools/train.py configs/soma_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='SoMA')))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.peft': dict(lr_mult=0.5)}))
param_scheduler = [
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end=40000, by_epoch=False),
    # as a ratio, so that what does not decay goes on not decaying
    dict(
        type='CosineAnnealingParamScheduler', param_name='weight_decay', eta_min_ratio=2e-4,
        begin=0, end=40000, by_epoch=False)]
