# zsseg's stage 0 on the embedded benchmark: 4 vectors of a prompt learn to name the regions of the 15 seen
# classes, TinyCLIP stays frozen. Two cores, about 2 minutes.
#   python tools/train.py configs/zsseg_tinyclip_miniscapes_stage0.py
_base_ = [
    './_base_/encoders/tinyclip.py', './_base_/benchmarks/miniscapes_regions.py',
    './_base_/schedules/adamw_tiny.py', './_base_/runtime.py']
model = dict(
    type='PEFTImageModel',
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Frozen')),
    text=dict(type='PrefixDot', num_prefix=4),
    head=dict(type='TextImageHead'))
