# ZegCLIP on COCO-Stuff, all 171 classes labelled: an upper bound of the two zero-shot settings.
# Published pAcc / S / U / hIoU (ViT-B/16, mean of several runs): 69.9 / 40.7 / 63.2 / 49.6.
#   python tools/train.py configs/zegclip_supervised_clip_base_coco_stuff.py
_base_ = ['./zegclip_clip_base_coco_stuff.py']
benchmark = 'coco_stuff'
