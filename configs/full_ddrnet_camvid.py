# DDRNet-23-slim from random weights on real street frames: trained by day, tested by day and at dusk.
#   python tools/train.py configs/full_ddrnet_camvid.py --cfg-options data_root=DIR
# mIoU 29.9 by day, 14.1 at dusk.
_base_ = [
    './_base_/benchmarks/camvid_day_to_dusk.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder=dict(name='DDRNet-23-slim', type='DualResNet', arch='23_slim', init_seed=0),
        peft=dict(type='Full')),
    decode_head=dict(type='DDRNetHead', in_index=0, channels=64),
    auxiliary_head=dict(
        type='DDRNetHead',
        in_index=1,
        channels=64,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4, avg_non_ignore=True)))
train_dataloader = dict(batch_size=4)
