# zsseg on TinyCLIP, the embedded benchmark with four unseen classes: proposals of masks, then their regions
# through TinyCLIP as it was before LoRA. Two cores, about 4 minutes.
#   python tools/train.py configs/zsseg_tinyclip_miniscapes.py
# Without the second stage: --cfg-options model.use_regions=False
_base_ = ['./zsseg_proposals_tinyclip_miniscapes.py']
model = dict(
    type='TwoStageSegmentor',
    backbone=dict(encoder=dict(joint_dims=128)),
    regions=dict(type='RegionCLIP', size=64),
    ensemble_weight=0.8)
