# Retrieval with the frozen TinyViT: a classifier trains, the mean of the last map is compared.
#   python tools/train.py configs/frozen_tinyvit_minivehicles_retrieval.py
_base_ = [
    './_base_/encoders/vit_tiny.py',
    './_base_/benchmarks/minivehicles_retrieval.py', './_base_/schedules/adamw_tiny_images.py',
    './_base_/runtime.py']
model = dict(
    type='PEFTImageModel',
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Frozen')),
    head=dict(type='RetrievalHead', awareness=False))
