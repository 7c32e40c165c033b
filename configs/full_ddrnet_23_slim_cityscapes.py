# DDRNet-23-slim trained on Cityscapes, all of it: a real-time network of 5.7 M parameters.
# Published mIoU on val: 77.8 (authors), 77.84 (mmseg); on the test server 77.4 (paper). Runs differ by a point.
# The schedule is made for batch 12: two GPUs with 6 images each, or one GPU with all 12.
#   python tools/train.py configs/full_ddrnet_23_slim_cityscapes.py --cfg-options train_dataloader.batch_size=12
_base_ = [
    './_base_/encoders/ddrnet_23_slim.py', './_base_/heads/ddrnet.py',
    './_base_/benchmarks/cityscapes.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
