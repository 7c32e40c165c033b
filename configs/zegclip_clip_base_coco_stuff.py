# ZegCLIP on COCO-Stuff, 156 classes seen and 15 unseen, inductive: 4 GPUs x 4 images, 80k iterations.
# Published pAcc / S / U / hIoU (ViT-B/16, mean of several runs): 62.0 / 40.2 / 41.1 / 40.8.
#   python tools/train.py configs/zegclip_clip_base_coco_stuff.py
_base_ = ['./zegclip_clip_base_voc.py']
benchmark = 'coco_stuff_156_15'
model = dict(
    backbone=dict(peft=dict(num_tokens=100)),
    text=dict(templates='zegclip_coco'))
default_hooks = dict(checkpoint=dict(interval=40000))
