# Linear head, EoMT, EoMT with narrow upscaling and PMT x 3 ways to tune TinyViT, and Mask2Former with Rein:
# 13 systems x 3 seeds, 160 iterations. One rate for all: tune_mask_decoders_miniscapes.py was not run yet.
#   python tools/compare.py configs/compare_mask_decoders_miniscapes.py --jobs 2
_base_ = [
    './_base_/encoders/vit_tiny.py', './_base_/benchmarks/miniscapes.py',
    './_base_/schedules/adamw_tiny_160.py', './_base_/runtime.py']
model = dict(
    backbone=dict(encoder={{_base_.encoder}}, peft=dict(type='Rein')), decode_head=dict(type='LinearHead'))
points = dict(loss=dict(num_points=2048))
small = dict(num_queries=40, num_blocks=3, **points)
heads = dict(
    Linear=dict(type='LinearHead'), EoMT=dict(small, type='EoMTHead'),
    EoMT256=dict(small, type='EoMTHead', upscale_channels=256), PMT=dict(small, type='PMTHead'))
full = dict(  # _base_/heads/mask2former_tiny.py
    type='Mask2FormerHead', feat_channels=128, num_queries=40, num_heads=4, encoder_layers=3,
    decoder_layers=3, encoder_hidden=256, decoder_hidden=512, norm_groups=16, **points)
methods = dict(Frozen={}, LoRA={}, Rein=dict(link_to_queries=False))
ways = {
    f'{name}-{method}': dict(type=method, **args, options={'model.decode_head': head})
    for name, head in heads.items() for method, args in methods.items()}
linked = dict(type='Rein', num_tokens=40, query_dims=128)
ways['Mask2Former-Rein'] = dict(linked, options={'model.decode_head': full})
lr, rates = 'optim_wrapper.optimizer.lr', dict.fromkeys(ways, 2e-3)
comparison = dict(seeds=[0, 1, 2], peft=[
    dict(way, name=n, options={**way['options'], lr: rates[n]}) for n, way in ways.items()])
