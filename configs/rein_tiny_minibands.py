# Rein on a tiny ViT with five bands; the first layer trains, too. Two cores, 3 minutes.
#   python tools/train.py configs/rein_tiny_minibands.py
_base_ = ['./frozen_tiny_minibands.py']
model = dict(backbone=dict(
    peft=dict(_delete_=True, type='Rein'),
    encoder=dict(bands=dict(train_input=True))))
