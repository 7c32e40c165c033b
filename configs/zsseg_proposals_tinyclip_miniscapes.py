# The first stage of zsseg on TinyCLIP with LoRA, the embedded benchmark with four unseen classes: mask
# proposals, their classes from names. Two cores, about 4 minutes.
#   python tools/train.py configs/zsseg_proposals_tinyclip_miniscapes.py
_base_ = [
    './_base_/encoders/tinyclip.py', './_base_/heads/maskformer_tiny.py',
    './_base_/benchmarks/miniscapes_unseen.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={**_base_.encoder, 'joint_dims': None},
        peft=dict(type='LoRA')),
    text={{_base_.text_branch}},
    neck={{_base_.neck}},
    decode_head={{_base_.decode_head}})
max_iters = 640
# the head starts from random weights: twice the rate of the schedule
optim_wrapper = dict(paramwise_cfg=dict(prefix_lr_mult={'decode_head.': 2.0}))
