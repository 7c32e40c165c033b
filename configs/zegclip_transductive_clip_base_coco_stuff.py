# ZegCLIP on COCO-Stuff, transductive: from the half-trained inductive weights, 40k iterations in which pixels
# of unseen classes get pseudo labels. 4 GPUs x 4 images.
# Published pAcc / S / U / hIoU (ViT-B/16, mean of several runs): 69.2 / 40.7 / 59.9 / 48.5.
#   python tools/train.py configs/zegclip_clip_base_coco_stuff.py
#   python tools/train.py configs/zegclip_transductive_clip_base_coco_stuff.py
_base_ = ['./zegclip_clip_base_coco_stuff.py']
protocol = 'zegclip512_coco_transductive'
model = dict(decode_head=dict(setting='transductive', unseen_label=254))
load_from = 'work_dirs/zegclip_clip_base_coco_stuff/iter_40000.pth'
