"""The recipes of dual-modality prompts: rates, warm-ups, hand templates, numbers of parameters."""

import math

import pytest
import torch
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS

from rein_seg.apis import load_config
from rein_seg.export.count import build_shapes
from rein_seg.models.base import count_parameters

CLASSES = {
    'caltech101': 102,
    'dtd': 47,
    'eurosat': 10,
    'fgvc_aircraft': 100,
    'flowers102': 102,
    'food101': 101,
    'oxford_pets': 37,
    'stanford_cars': 196,
    'sun397': 397,
    'ucf101': 101,
}


@pytest.mark.parametrize('name', CLASSES)
def test_a_recipe_of_a_data_set(name):
    cfg = load_config(f'cavpt_clip_base32_{name}')
    assert (cfg.benchmark.name, cfg.model.num_classes) == (name, CLASSES[name])
    assert cfg.train_dataloader.dataset.shots == 1
    assert cfg.train_dataloader.batch_size == 32
    assert cfg.epochs == 60
    assert '{}' in cfg.model.text.fixed_template
    expected = 8192 + 11 * 7680 + 1_043_712 + 768 * CLASSES[name]
    assert count_parameters(build_shapes(cfg))['trainable'] == expected


@pytest.mark.parametrize(('name', 'count'), [('coop', 16 * 512), ('vpt', 12 * 10 * 768)])
def test_baselines(name, count):
    cfg = load_config(f'{name}_clip_base32_eurosat')
    assert cfg.train_dataloader.dataset.shots == 1
    assert count_parameters(build_shapes(cfg))['trainable'] == count


def test_text_and_visual_prompts_have_their_own_rates_and_warm_ups():
    cfg = load_config('cavpt_clip_base32_eurosat')
    model = build_shapes(cfg)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='TrainableOptimConstructor',
            optim_wrapper_cfg=dict(optimizer=dict(cfg.optim_wrapper.optimizer)),
            paramwise_cfg=cfg.optim_wrapper.paramwise_cfg,
        )
    )
    optimizer = constructor(model).optimizer
    of_text = [len(group['params']) == 1 for group in optimizer.param_groups]
    assert sorted(of_text) == [False, True]
    schedule = PARAM_SCHEDULERS.build(
        {**cfg.param_scheduler[0], 'optimizer': optimizer, 'end': 120}
    )
    rates = {'text': [], 'visual': []}
    for _ in range(120):
        for group, is_text in zip(optimizer.param_groups, of_text, strict=True):
            rates['text' if is_text else 'visual'].append(group['lr'])
        schedule.step()
    for name, rate, warmup in (('visual', 0.01, 20), ('text', 0.002, 2)):
        cosine = [rate * (1 + math.cos(math.pi * i / 120)) / 2 for i in range(120 - warmup)]
        torch.testing.assert_close(rates[name], [1e-5] * warmup + cosine, rtol=1e-9, atol=0)


def test_validation_comes_at_the_end_alone(tmp_path):
    from rein_seg.config.schedule import fill_iterations

    cfg = load_config('cavpt_clip_base32_eurosat', cfg_options={'max_iters': 60})
    fill_iterations(cfg)
    assert cfg.train_cfg.val_interval == cfg.default_hooks.checkpoint.interval == 60
