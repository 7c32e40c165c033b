# Rein with ZegCLIP's head on PASCAL VOC, 15 classes seen and 5 unseen: a row of ours beside
# zegclip_clip_base_voc.py, without a published score; all else is equal.
#   python tools/train.py configs/rein_clip_base_voc.py
_base_ = ['./zegclip_clip_base_voc.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='Rein', link_to_queries=False)))
