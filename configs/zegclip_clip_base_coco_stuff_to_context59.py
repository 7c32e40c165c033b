# ZegCLIP trained on COCO-Stuff, tested on the 59 classes of PASCAL Context, which it reads as words.
# The weights of the inductive model serve:
#   python tools/test.py configs/zegclip_clip_base_coco_stuff_to_context59.py work_dirs/zegclip_clip_base_coco_stuff/iter_80000.pth
# Or with all 171 classes labelled:
#   python tools/train.py configs/zegclip_clip_base_coco_stuff_to_context59.py
# The authors' config has 60 classes, with background: --cfg-options benchmark=coco_stuff_to_context60
_base_ = ['./zegclip_clip_base_coco_stuff.py']
benchmark = 'coco_stuff_to_context59'
