# 12 ways to tune an EfficientNet-Lite0 x 3 seeds, real streets: CamVid by day -> dusk, KITTI, BDD100K.
#   python tools/compare.py configs/compare_camvid_to_kitti.py --jobs 2 --cfg-options data_root=DIR
# Rates are those of configs/tune_camvid_to_kitti.py, chosen on the source's validation split.
# Batch norms keep ImageNet's statistics, but in Scratch; the encoder of Full has a tenth of the rate.
_base_ = ['./efficientnet_lite0_camvid_to_kitti.py']
scratch = dict(
    _delete_=True, type='TimmStages', name='EfficientNet-Lite0 (random)',
    model='tf_efficientnet_lite0', out_indices=[2, 3, 4], init_seed=0)
lr, encoder = 'optim_wrapper.optimizer.lr', 'model.backbone.encoder'
full = dict(type='Full', norm_eval=True)
slower = {'optim_wrapper.paramwise_cfg.prefix_lr_mult': {'backbone.': 0.1}}
ways = dict(
    Frozen=dict(type='Frozen'), Full=dict(full, options=slower),
    Scratch=dict(type='Full', options={encoder: scratch}))
ways.update({name: dict(type=name) for name in (
    'LoRA', 'Rein', 'ConvAdapter', 'ConvLoRA', 'SSF', 'SVF', 'BitFit', 'Mona', 'SoMA')})
ways['ConvLoRA'].update(targets=['pw2'])  # one 1x1 convolution of each block, as qkv in a ViT
rates = dict(
    Frozen=1e-2, Full=3e-3, Scratch=3e-3, LoRA=3e-3, Rein=1e-2, ConvAdapter=3e-3, ConvLoRA=3e-3,
    SSF=3e-3, SVF=1e-2, BitFit=1e-2, Mona=1e-2, SoMA=3e-3)
comparison = dict(seeds=[0, 1, 2], peft=[
    dict(way, name=name, options={**way.get('options', {}), lr: rates[name]})
    for name, way in ways.items()])
