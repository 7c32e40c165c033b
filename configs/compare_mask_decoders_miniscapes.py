# Mask decoders on the embedded benchmark: EoMT, EoMT with narrow upscaling, PMT and a linear head, each
# x 3 ways to tune TinyViT, and Mask2Former with Rein: 13 systems x 3 seeds, 160 iterations.
#   python tools/compare.py configs/compare_mask_decoders_miniscapes.py --jobs 2
# Rates are those of configs/tune_mask_decoders_miniscapes.py, chosen on the source's validation split.
_base_ = ['./rein_tiny_mask2former_miniscapes.py']
max_iters = 160
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=20, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=20, end=max_iters, by_epoch=False)]
small = dict(_delete_=True, num_queries=40, num_blocks=3, loss=dict(num_points=2048))
heads = dict(
    Linear=dict(_delete_=True, type='LinearHead'), EoMT=dict(small, type='EoMTHead'),
    EoMT256=dict(small, type='EoMTHead', upscale_channels=256), PMT=dict(small, type='PMTHead'))
methods = dict(Frozen={}, LoRA={}, Rein=dict(link_to_queries=False))
ways = {
    f'{name}-{method}': dict(type=method, **args, options={'model.decode_head': head})
    for name, head in heads.items() for method, args in methods.items()}
ways['Mask2Former-Rein'] = dict({{_base_.model.backbone.peft}}, options={})
lr, rates = 'optim_wrapper.optimizer.lr', dict.fromkeys(ways, 1.5e-3)
comparison = dict(seeds=[0, 1, 2], peft=[
    dict(way, name=name, options={**way['options'], lr: rates[name]})
    for name, way in ways.items()])
