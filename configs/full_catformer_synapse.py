# CATformer, the generator of CASTformer alone, on Synapse: protocol transunet224, batches of 6 slices.
#   python tools/train.py configs/full_catformer_synapse.py
# Published: Dice 82.17, 95HD 16.20 (with test_evaluator.missing=transunet); widths and heads here are ours.
_base_ = [
    './_base_/encoders/resnetv2_hybrid.py', './_base_/heads/castformer.py',
    './_base_/benchmarks/synapse.py', './_base_/schedules/protocol.py', './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Full')),
    neck={{_base_.neck}},
    decode_head={{_base_.decode_head}})
