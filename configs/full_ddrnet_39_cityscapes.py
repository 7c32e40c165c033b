# DDRNet-39 trained on Cityscapes, all of it: 32.4 M parameters.
# Published mIoU on the test server: 80.4 (paper); no published score on val found.
# The schedule is made for batch 12: two GPUs with 6 images each, or one GPU with all 12.
#   python tools/train.py configs/full_ddrnet_39_cityscapes.py --cfg-options train_dataloader.batch_size=12
_base_ = [
    './_base_/encoders/ddrnet_39.py', './_base_/heads/ddrnet_256.py',
    './_base_/benchmarks/cityscapes.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
