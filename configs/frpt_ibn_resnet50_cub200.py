# FRPT on CUB-200 as its code has it: other encoder, head, sampler and schedule than the paper's.
# No score of this recipe is published. 1 GPU with batches of 256, 11.5k iterations.
#   python tools/train.py configs/frpt_ibn_resnet50_cub200.py
_base_ = [
    './_base_/encoders/ibn_resnet50.py', './_base_/heads/retrieval_repository.py',
    './_base_/benchmarks/cub200.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
protocol = 'frpt_repository_cub200'
model = dict(
    type='PEFTImageModel',
    backbone=dict(encoder={{_base_.encoder}}, peft=dict(type='FRPT', form='repository', official=True)),
    head={{_base_.head}})
