# ZegCLIP on PASCAL VOC, all 20 classes labelled: an upper bound of the two zero-shot settings.
# Published pAcc / S / U / hIoU (ViT-B/16, mean of several runs): 96.3 / 92.4 / 90.9 / 91.6.
#   python tools/train.py configs/zegclip_supervised_clip_base_voc.py
_base_ = ['./zegclip_clip_base_voc.py']
benchmark = 'voc20'
