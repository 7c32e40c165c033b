# Rein on a tiny ViT with five bands; the first layer trains, too. Two cores, 3 minutes.
# mIoU 87 % on summer, 78 % on the other seasons; with RGB alone 56 % and 48 %.
#   python tools/train.py configs/rein_tiny_minibands.py
_base_ = ['./frozen_tiny_minibands.py']
model = dict(backbone=dict(
    peft=dict(_delete_=True, type='Rein'),
    encoder=dict(bands=dict(train_input=True))))
