# LV-Adapter (a reconstruction) on TinyCLIP, two tasks of the embedded scenes in one run; stage 1, adapt:
# the encoder is frozen. Two cores, about 3 minutes.
#   python tools/train.py configs/lv_adapter_tinyclip_miniscapes.py
_base_ = [
    './_base_/encoders/tinyclip_maps.py', './_base_/heads/lv_adapter_tiny.py',
    './_base_/benchmarks/miniscapes_tasks.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    type='MultiTaskSegmentor',
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Frozen')),
    text={{_base_.text_branch}},
    neck={{_base_.neck}},
    decode_head={{_base_.decode_head}},
    auxiliary_head={{_base_.auxiliary_head}})
# a batch of each task in turn: twice the iterations of a run of one task
max_iters = 640
