"""ZegCLIP's protocols: one rate, everything decayed, windows of images with a short side of 512."""

import pytest
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

from rein_seg.apis import load_config
from rein_seg.config.builtin import benchmarks, protocols
from rein_seg.export.count import build_shapes


@pytest.mark.parametrize(
    ('name', 'protocol', 'iterations'),
    [
        ('zegclip_clip_base_voc', 'zegclip512_voc', 20000),
        ('zegclip_transductive_clip_base_voc', 'zegclip512_voc_transductive', 10000),
        ('zegclip_clip_base_coco_stuff', 'zegclip512_coco', 80000),
        ('zegclip_transductive_clip_base_coco_stuff', 'zegclip512_coco_transductive', 40000),
    ],
)
def test_crops_schedule_and_windows(name, protocol, iterations):
    cfg = load_config(name)
    assert (cfg.benchmark.protocol, tuple(cfg.model.crop_size)) == (protocol, (512, 512))
    assert cfg.train_cfg.max_iters == iterations
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 2e-4, 0.01)
    warmup, poly = cfg.param_scheduler
    assert (warmup.type, warmup.end, warmup.start_factor) == ('LinearLR', 1500, 1e-6)
    # the warm-up multiplies it
    assert (poly.begin, poly.end, poly.power, poly.eta_min) == (0, iterations, 0.9, 1e-6)
    windows = cfg.model.test_cfg
    assert (tuple(windows.crop_size), tuple(windows.stride)) == ((512, 512), (426, 426))
    assert (protocols()[protocol].batch_size, protocols()[protocol].gpus) == (4, 4)
    assert protocol in benchmarks()[cfg.benchmark.name].protocols


def test_everything_is_trained_at_one_rate_and_decayed():
    cfg = load_config('zegclip_clip_base_voc')
    wrapper = dict(optimizer=dict(cfg.optim_wrapper.optimizer))
    paramwise = cfg.optim_wrapper.get('paramwise_cfg')
    build = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(type='TrainableOptimConstructor', optim_wrapper_cfg=wrapper, paramwise_cfg=paramwise)
    )
    groups = build(build_shapes(cfg)).optimizer.param_groups
    assert {group['lr'] for group in groups} == {2e-4}
    assert {group['weight_decay'] for group in groups} == {0.01}
