# CAVPT for segmentation, ours: the published method classifies images. DenseCLIP's pixel-text neck and
# heads on TinyCLIP, the embedded benchmark, all classes labelled; the whole image selects the classes
# whose words become prompts. All else as dense_clip_tiny_miniscapes.py. Two cores, about 5 minutes.
#   python tools/train.py configs/cavpt_tinyclip_miniscapes.py
_base_ = ['./dense_clip_tiny_miniscapes.py']
model = dict(
    backbone=dict(peft=dict(_delete_=True, type='CAVPT')),
    text=dict(_delete_=True, type='CoOp', fixed_template='a photo of a {}'))
