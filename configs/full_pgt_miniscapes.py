# A small PGT from random weights with the FPT head, trained in full, the embedded benchmark. Two cores, 3
# minutes.
#   python tools/train.py configs/full_pgt_miniscapes.py
# mIoU 30.0 on the source, 14.2 on targets.
_base_ = [
    './_base_/benchmarks/miniscapes.py', './_base_/schedules/adamw_tiny.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder=dict(
            name='PGT (small, from random weights)',
            type='PGT',
            arch=dict(
                embed_dims=48, depths=[2, 2, 4, 2], num_heads=[2, 3, 6, 12],
                group_nums=[64, 16, 1, 1]),
            out_indices=[1, 2, 3],
            init_seed=0),
        peft=dict(type='Full')),
    neck=dict(type='FPN', out_channels=128, num_outs=3),
    decode_head=dict(type='FPTHead', drop_path_rates=[0.0, 0.0, 0.0], dropout_ratio=0.0))
