# Dual-modality prompts in CLIP ViT-B/32 on Caltech101; see cavpt_clip_base32_eurosat.py.
#   python tools/train.py configs/cavpt_clip_base32_caltech101.py
_base_ = [
    './_base_/encoders/clip_base32.py', './_base_/benchmarks/caltech101.py',
    './_base_/schedules/sgd_prompts.py', './_base_/runtime.py']
model = dict(
    type='PEFTImageModel',
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='CAVPT')),
    text=dict(type='CoOp', fixed_template='a photo of a {}.'),
    head=dict(type='CAVPTHead'))
train_dataloader = dict(dataset=dict(shots=1))
