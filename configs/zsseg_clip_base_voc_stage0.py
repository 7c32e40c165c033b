# zsseg's stage 0 on PASCAL VOC: 16 vectors of a prompt learn to name the regions of the 15 seen classes, CLIP
# stays frozen. 32 regions x 3200 iterations. Its adapter is what zsseg_clip_base_voc.py reads.
#   python tools/train.py configs/zsseg_clip_base_voc_stage0.py
# Outside of a region the official code has the mean colour after the normalisation, in place of 0:
#   --cfg-options train_dataloader.dataset.pipeline.3.fill_after_normalisation=True
_base_ = [
    './_base_/encoders/clip_base_224.py', './_base_/benchmarks/voc15_regions.py',
    './_base_/schedules/protocol.py', './_base_/runtime.py']
model = dict(
    type='PEFTImageModel',
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Frozen')),
    text=dict(type='PrefixDot', num_prefix=16),
    head=dict(type='TextImageHead', scale=100.0))
