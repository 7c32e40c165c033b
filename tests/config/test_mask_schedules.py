"""The schedules of EoMT and PMT: numbers of the official recipes; each builds."""

import pytest
from mmengine.config import Config
from mmseg.registry import HOOKS, OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS

from tests.engine.optimizers import hyper, model

BLOCKS = {'eomt_ade20k': 4, 'eomt_cityscapes': 4, 'eomt_ade20k_dinov3': 4, 'pmt_ade20k': 6}


def schedule(name, repo):
    return Config.fromfile(repo / f'configs/_base_/schedules/{name}.py')


def built(cfg, module):
    wrapper = dict(cfg.optim_wrapper)
    return OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=wrapper.pop('constructor'),
            paramwise_cfg=wrapper.pop('paramwise_cfg'),
            optim_wrapper_cfg=wrapper,
        )
    )(module)


@pytest.mark.parametrize('name', BLOCKS)
def test_a_schedule_builds_and_ends_with_the_run(name, repo):
    cfg = schedule(name, repo)
    assert cfg.train_cfg.max_iters == cfg.max_iters == cfg.param_scheduler[0].end
    wrapper = built(cfg, model(dict(type='Full')))
    assert wrapper.clip_grad_kwargs == dict(max_norm=0.01)
    assert {group['weight_decay'] for group in wrapper.optimizer.param_groups} == {0.05}
    PARAM_SCHEDULERS.build(dict(cfg.param_scheduler[0], optimizer=wrapper.optimizer))
    assert {group['lr'] for group in wrapper.optimizer.param_groups} == {0.0}
    hook = HOOKS.build(cfg.default_hooks.mask_annealing)
    spans = hook.spans(BLOCKS[name], cfg.max_iters)
    assert max(end for _, end in spans) < cfg.max_iters


@pytest.mark.parametrize('name', ['eomt_ade20k', 'eomt_cityscapes'])
def test_masks_open_in_sixths_of_the_run(name, repo):
    cfg = schedule(name, repo)
    spans = HOOKS.build(cfg.default_hooks.mask_annealing).spans(4, cfg.max_iters)
    equal = HOOKS.build(dict(type='MaskAnnealingHook')).spans(4, cfg.max_iters)
    for ours, sixth in zip(spans, equal, strict=True):
        assert ours == pytest.approx(sixth, abs=2)


def test_rates_by_recipe(repo):
    module = model(dict(type='Full'))
    first, head = 'backbone.encoder.layers.0.ln1.weight', 'decode_head.conv_seg.weight'
    found = hyper(module, built(schedule('eomt_cityscapes', repo), module))
    assert (found[first][0], found[head][0]) == pytest.approx((0.64e-4, 1e-4))
    found = hyper(module, built(schedule('eomt_ade20k_dinov3', repo), module))
    assert (found[first][0], found[head][0]) == (2e-4, 2e-4)
