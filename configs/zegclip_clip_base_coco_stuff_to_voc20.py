# ZegCLIP trained on COCO-Stuff, tested on the 20 classes of PASCAL VOC, which it reads as words.
# The weights of the inductive model serve:
#   python tools/test.py configs/zegclip_clip_base_coco_stuff_to_voc20.py work_dirs/zegclip_clip_base_coco_stuff/iter_80000.pth
# Or with all 171 classes labelled:
#   python tools/train.py configs/zegclip_clip_base_coco_stuff_to_voc20.py
# Names are read in the 15 sentences of the training, by the authors' test in one: --cfg-options model.text.templates=plain
_base_ = ['./zegclip_clip_base_coco_stuff.py']
benchmark = 'coco_stuff_to_voc20'
