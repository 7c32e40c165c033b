"""Rate and weight decay of every tensor, and the rate in every iteration, as officially."""

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

from rein_seg.apis import load_config
from rein_seg.checkpoint.official import from_official
from tests.checkpoint import official_model
from tests.golden.collect import cases

RECIPES = {'512': 'rein_dinov2_gtav', '1024': 'rein_dinov2_gtav_1024'}
GOLDEN = cases('rein', 'optimizer')
# decays officially, because the name matches none of the keys
OURS_DIFFERS = {'decode_head.pixel_decoder.level_encoding.weight'}
both = pytest.mark.parametrize('crop', RECIPES)


def case_of(golden):
    """Returns the sidecar of the model that these rates belong to, in the same folder."""
    return golden.path.with_name(golden.meta['model'] + '.json')


def model_of(golden):
    return official_model.build(None, case=case_of(golden), encoder=dict(init_seed=0))


def schedule(crop, repo):
    return load_config(str(repo / f'configs/{RECIPES[crop]}.py'))


def optimizer_of(model, cfg):
    wrapper = dict(cfg.optim_wrapper)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=wrapper.pop('constructor'),
            paramwise_cfg=wrapper.pop('paramwise_cfg'),
            optim_wrapper_cfg=wrapper,
        )
    )
    return constructor(model).optimizer


@both
@pytest.mark.parametrize('golden', GOLDEN)
def test_every_tensor_has_the_official_rate_and_decay(golden, crop, repo):
    unused = official_model.unused(case_of(golden))
    groups = {k: v for k, v in golden.meta[crop]['groups'].items() if k not in unused}
    expected = from_official(groups).tensors
    model = model_of(golden)
    optimizer = optimizer_of(model, schedule(crop, repo))
    names = {id(p): name for name, p in model.named_parameters()}
    found = {
        names[id(p)]: (group['lr'], group['weight_decay'], p.numel())
        for group in optimizer.param_groups
        for p in group['params']
    }
    assert set(found) == set(expected)
    for name, (lr, decay, numel) in found.items():
        official = expected[name]
        official_decay = 0.0 if name in OURS_DIFFERS else official['weight_decay']
        assert (lr, decay, numel) == (official['lr'], official_decay, official['numel']), name
    # few groups, so that the optimizer updates many tensors at once; officially one for each
    assert len(optimizer.param_groups) == 2


@both
@pytest.mark.parametrize('golden', GOLDEN)
def test_options_of_the_optimizer(golden, crop, repo):
    optimizer = optimizer_of(model_of(golden), schedule(crop, repo))
    assert isinstance(optimizer, torch.optim.AdamW)
    for name, value in golden.meta[crop]['defaults'].items():
        found = optimizer.defaults[name]
        assert (list(found) if isinstance(found, tuple) else found) == value, name


@both
@pytest.mark.parametrize('golden', GOLDEN)
def test_rate_of_every_iteration(golden, crop, repo):
    cfg = schedule(crop, repo)
    optimizer = torch.optim.AdamW(
        [torch.nn.Parameter(torch.ones(1))], lr=cfg.optim_wrapper.optimizer.lr
    )
    schedulers = [
        PARAM_SCHEDULERS.build(dict(part, optimizer=optimizer)) for part in cfg.param_scheduler
    ]
    expected = {int(i): rate for i, rate in golden.meta[crop]['lr_used_in_iteration'].items()}
    assert max(expected) == cfg.train_cfg.max_iters - 1
    for iteration in range(cfg.train_cfg.max_iters):
        if iteration in expected:
            rate = optimizer.param_groups[0]['lr']
            assert rate == pytest.approx(expected[iteration], rel=1e-9, abs=1e-18), iteration
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()


def test_staged_scale_does_not_decay(repo):
    """Officially it does: the name is ``reins.0.scale``, and the key ``reins.scale``."""
    from mmseg.registry import MODELS

    from tests.encoders.tiny import ENCODERS

    staged = MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(
                type='PEFTBackbone', encoder=ENCODERS['convnext'], peft=dict(type='Rein')
            ),
            decode_head=dict(type='LinearHead'),
            num_classes=4,
        )
    )
    optimizer = optimizer_of(staged, schedule('512', repo))
    still = {id(p) for g in optimizer.param_groups if g['weight_decay'] == 0 for p in g['params']}
    scales = [p for name, p in staged.named_parameters() if name.endswith('.scale')]
    assert len(scales) == 2
    assert all(id(p) in still for p in scales)
