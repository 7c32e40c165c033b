# A check of the training code: Rein + PMT must learn eight MiniScapes images by heart.
#   python tools/train.py configs/overfit_pmt_miniscapes.py
# Expected: more than 60 mIoU on them within 400 iterations; docs/background/experiments.md has the curve.
# Narrow upscaling: --cfg-options model.decode_head.upscale_channels=256
_base_ = ['./overfit_mask2former_miniscapes.py']
model = dict(
    backbone=dict(peft=dict(_delete_=True, type='Rein', link_to_queries=False)),
    decode_head=dict(
        _delete_=True, type='PMTHead', num_queries=40, num_blocks=3, loss=dict(num_points=2048)))
