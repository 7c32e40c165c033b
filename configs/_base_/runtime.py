# What every run shares. The leaf's `model` and this one are merged.
custom_imports = dict(imports=['rein_seg.apis'], allow_failed_imports=False)
default_scope = 'mmseg'
runner_type = 'PEFTRunner'
model = dict(type='PEFTSegmentor', backbone=dict(type='PEFTBackbone'))
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
compile = False  # True: training steps through torch.compile; for a GPU, see docs/background/performance.md
randomness = dict(seed=42)
custom_hooks = [dict(type='IterationSeedHook')]
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='SegLocalVisualizer', vis_backends=vis_backends)
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
