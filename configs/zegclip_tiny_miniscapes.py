# ZegCLIP's method on TinyCLIP, the embedded benchmark with four unseen classes: deep prompts, a trained
# norm in front of the joint space, and the ATM head. Two cores, about 4 minutes.
#   python tools/train.py configs/zegclip_tiny_miniscapes.py
_base_ = [
    './_base_/encoders/tinyclip.py', './_base_/heads/atm_tiny.py',
    './_base_/benchmarks/miniscapes_unseen.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='VPT', num_tokens=10, project_dims=192, dropout=0.1, post_norm=True)),
    text={{_base_.text_branch}},
    decode_head={{_base_.decode_head}})
# the head starts from random weights: four times the rate of the schedule
optim_wrapper = dict(paramwise_cfg=dict(prefix_lr_mult={'decode_head.': 4.0}))
