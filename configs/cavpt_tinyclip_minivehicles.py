# Dual-modality prompts on TinyCLIP: static visual prompts in 7 blocks, class-aware prompts in the last,
# CoOp's text; the first half of the training is guided by the frozen CLIP. Two cores, about 2 minutes.
#   python tools/train.py configs/cavpt_tinyclip_minivehicles.py
# A few images of each class: --cfg-options train_dataloader.dataset.shots=4
_base_ = ['./coop_tinyclip_minivehicles.py']
model = dict(
    backbone=dict(peft=dict(_delete_=True, type='CAVPT')),
    text=dict(fixed_template='a photo of a {}'),
    head=dict(_delete_=True, type='CAVPTHead'))
