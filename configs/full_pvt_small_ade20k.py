# PVT-Small trained whole with Semantic FPN on ADE20K (Wang et al., ICCV 2021): 28.2 M parameters.
# Published mIoU, repository (paper): Small 41.9 (39.8); with the other bases pvt_tiny 36.6 (35.7),
# pvt_medium 43.5 (41.6), pvt_large 43.5 (42.1). 8 GPUs; one takes train_dataloader.batch_size=32.
#   python tools/train.py configs/full_pvt_small_ade20k.py
_base_ = [
    './_base_/encoders/pvt_small.py', './_base_/heads/semantic_fpn.py',
    './_base_/benchmarks/ade20k.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    neck={{_base_.neck}},
    decode_head={{_base_.decode_head}})
