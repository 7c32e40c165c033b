# What pretraining gives, real streets at half size: ImageNet's weights, TinyViT's (pretrained on drawn
# streets) and random weights, four ways to tune each x 3 seeds. TinyViT is slow at full size.
#   python tools/compare.py configs/compare_camvid_to_kitti_encoders.py --jobs 2 --cfg-options data_root=DIR
# TinyViT has the rates of configs/tune_miniscapes.py, the others have those of compare_camvid_to_kitti.py.
_base_ = ['./compare_camvid_to_kitti.py']
protocol = 'streets144'
lr, encoder = 'optim_wrapper.optimizer.lr', 'model.backbone.encoder'
tiny = dict(
    _delete_=True, type='TinyViT', name='TinyViT', checkpoint='package:tiny_vit.safetensors')
rates, ways = {{_base_.rates}}, {{_base_.ways}}
four = ('Frozen', 'Full', 'LoRA', 'Rein')
runs = [(f'ImageNet-{n}', ways[n], {lr: rates[n]}) for n in four]
runs += [(f'TinyViT-{n}', dict(type=n), {encoder: tiny, lr: 1e-3 if n == 'Full' else 3e-3}) for n in four]
runs += [('Random-Full', dict(type='Full'), {encoder: {{_base_.scratch}}, lr: rates['Scratch']})]
runs += [(f'Random-{n}', dict(type=n), {encoder: {{_base_.scratch}}, lr: rates[n]})
    for n in ('Frozen', 'LoRA', 'Rein')]
comparison = dict(_delete_=True, seeds=[0, 1, 2], peft=[
    dict(way, name=name, options={**way.get('options', {}), **options})
    for name, way, options in runs])
