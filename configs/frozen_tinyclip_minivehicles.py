# A linear classifier on TinyCLIP's image embedding, the embedded fine-grained set. Two cores, 1 minute.
#   python tools/train.py configs/frozen_tinyclip_minivehicles.py
# A few images of each class: --cfg-options train_dataloader.dataset.shots=4
_base_ = [
    './_base_/encoders/tinyclip.py', './_base_/heads/linear_image.py',
    './_base_/benchmarks/minivehicles.py', './_base_/schedules/adamw_tiny_images.py',
    './_base_/runtime.py']
model = dict(
    type='PEFTImageModel',
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Frozen')),
    head={{_base_.head}})
