# ZegCLIP on PASCAL VOC, transductive: from the half-trained inductive weights, 10k iterations in which pixels
# of unseen classes get pseudo labels. 4 GPUs x 4 images.
# Published pAcc / S / U / hIoU (ViT-B/16, mean of several runs): 96.2 / 92.3 / 89.9 / 91.1.
#   python tools/train.py configs/zegclip_clip_base_voc.py
#   python tools/train.py configs/zegclip_transductive_clip_base_voc.py
_base_ = ['./zegclip_clip_base_voc.py']
protocol = 'zegclip512_voc_transductive'
model = dict(decode_head=dict(setting='transductive', unseen_label=254))
load_from = 'work_dirs/zegclip_clip_base_voc/iter_10000.pth'
