# SoMA on DINOv2-L, GTAV -> urban scenes: 4.87 M parameters in blocks 8 to 23, under its own protocol:
# half the rate, annealed decay, averaged weights, best checkpoint on the targets. Published mean mIoU:
# 68.27. Starting takes one singular value decomposition a weight: minutes.
#   python tools/train.py configs/soma_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
protocol = 'soma512'
model = dict(backbone=dict(peft=dict(_delete_=True, type='SoMA')))
