# Dual-modality prompts (Xing et al., IEEE TMM 2023) in CLIP ViT-B/32 on EuroSAT, 1 image of each class
# as in the authors' script: static visual prompts in 11 blocks, class-aware prompts in the last, CoOp's
# text. 1.14 million values train. No published average of the data sets was found.
#   python tools/train.py configs/cavpt_clip_base32_eurosat.py
# More images: --cfg-options train_dataloader.dataset.shots=16, and shot_seed=2 for others.
_base_ = [
    './_base_/encoders/clip_base32.py', './_base_/benchmarks/eurosat.py',
    './_base_/schedules/sgd_prompts.py', './_base_/runtime.py']
model = dict(
    type='PEFTImageModel',
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='CAVPT')),
    text=dict(type='CoOp', fixed_template='a centered satellite photo of {}.'),
    head=dict(type='CAVPTHead'))
train_dataloader = dict(dataset=dict(shots=1))
