# The FPT head on the frozen tiny ViT, the embedded benchmark. Two cores, 4 minutes.
# Three of its maps, at strides 4, 8 and 16, stand for the maps of a pyramid.
#   python tools/train.py configs/frozen_tiny_fpt_miniscapes.py
# mIoU 37.4 on the source, 34.2 on targets; with the linear head 33.3, 29.9.
_base_ = [
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder=dict(
            name='TinyViT',
            type='TinyViT',
            out_indices=[3, 5, 7],
            checkpoint='package:tiny_vit.safetensors'),
        peft=dict(type='Frozen')),
    neck=dict(type='TokenPyramid', factors=(2, 1, 0.5), out_channels=128),
    decode_head=dict(type='FPTHead', drop_path_rates=[0.0, 0.0, 0.0], dropout_ratio=0.0))
