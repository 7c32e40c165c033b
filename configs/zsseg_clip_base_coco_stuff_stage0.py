# zsseg's stage 0 on COCO-Stuff: 16 vectors of a prompt learn to name the regions of the 156 seen classes, CLIP
# stays frozen. 32 regions x 16k iterations. Its adapter is what zsseg_clip_base_coco_stuff.py reads.
#   python tools/train.py configs/zsseg_clip_base_coco_stuff_stage0.py
_base_ = ['./zsseg_clip_base_voc_stage0.py']
benchmark = 'coco_stuff156_regions'
