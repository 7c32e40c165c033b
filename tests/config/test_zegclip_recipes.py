"""ZegCLIP's recipes say what the paper's code does, and lead from one stage to the next."""

import pytest

from rein_seg.apis import load_config
from tests.paths import REPO

IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


def load(name):
    return load_config(str(REPO / f'configs/{name}.py'))


def hidden(cfg):
    steps = cfg.train_dataloader.dataset.pipeline
    return next((step for step in steps if step.type == 'KeepSeenLabels'), None)


@pytest.mark.parametrize(
    ('data', 'classes', 'unseen', 'prompts', 'templates', 'iterations'),
    [('voc', 20, 5, 10, None, 20000), ('coco_stuff', 171, 15, 100, 'zegclip_coco', 80000)],
)
def test_three_settings(data, classes, unseen, prompts, templates, iterations):
    inductive = load(f'zegclip_clip_base_{data}')
    model = inductive.model
    assert (model.num_classes, len(model.text.unseen)) == (classes, unseen)
    assert model.text.get('templates') == templates
    peft = dict(project_dims=768, dropout=0.1, post_norm=True)
    assert model.backbone.peft == dict(type='VPT', num_tokens=prompts, **peft)
    encoder = model.backbone.encoder
    assert (tuple(encoder['mean']), tuple(encoder['std'])) == IMAGENET
    assert encoder.class_embedding_twice
    optimizer = inductive.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 2e-4, 0.01)
    assert 'paramwise_cfg' not in inductive.optim_wrapper  # all decay
    assert inductive.train_cfg.max_iters == iterations
    slide = dict(mode='slide', crop_size=(512, 512), stride=(426, 426))
    assert {key: model.test_cfg[key] for key in slide} == slide
    assert hidden(inductive).get('unseen_as') is None

    second = load(f'zegclip_transductive_clip_base_{data}')
    assert second.train_cfg.max_iters == iterations // 2
    first = f'{inductive.work_dir}/iter_{iterations // 2}.pth'
    assert second.load_from == first
    kept = inductive.default_hooks.checkpoint
    assert (iterations // 2) % kept.interval == 0
    assert iterations // kept.interval <= kept.max_keep_ckpts
    assert hidden(second).unseen_as == second.model.decode_head.unseen_label == 254

    supervised = load(f'zegclip_supervised_clip_base_{data}')
    assert hidden(supervised) is None
    assert not supervised.model.text.get('unseen')
    assert supervised.train_cfg.max_iters == iterations


@pytest.mark.parametrize('target', ['voc20', 'context59'])
def test_other_data_is_tested_on_its_own_classes(target):
    cfg = load(f'zegclip_clip_base_coco_stuff_to_{target}')
    assert cfg.model.num_classes == len(cfg.model.text.classes) == 171
    assert list(cfg.test_evaluator.targets) == [target]
    parts = cfg.test_dataloader.dataset.get('datasets', [cfg.test_dataloader.dataset])
    assert [part.domain for part in parts] == [target]
