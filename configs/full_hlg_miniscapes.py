# A small HLG from random weights, trained in full, with HLG's head, the embedded benchmark. Two cores, 4
# minutes.
#   python tools/train.py configs/full_hlg_miniscapes.py
# mIoU 30.5 on the source, 12.8 on targets.
_base_ = [
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder=dict(
            name='HLG (small, from random weights)',
            type='HLGTransformer',
            arch=dict(embed_dims=[48, 96, 192, 192], depths=[2, 2, 2, 2], num_heads=[1, 3, 6, 6]),
            init_seed=0),
        peft=dict(type='Full')),
    decode_head=dict(type='HLGHead', channels=128, dropout_ratio=0.0))
