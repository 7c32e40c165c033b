"""Every config loads, names only what exists, is short, and its model builds."""

import re
from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.apis import load_config
from rein_seg.errors import UserError
from rein_seg.segmentor import count_parameters

CONFIGS = sorted((Path(__file__).parent.parent / 'configs').glob('*.py'))
by_name = pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)


@by_name
def test_config_loads_and_names_exist(path):
    cfg = load_config(str(path))
    assert cfg.work_dir == f'work_dirs/{path.stem}'
    assert cfg.model.num_classes == cfg.benchmark.num_classes
    assert cfg.val_evaluator.protocol == cfg.benchmark.protocol


@by_name
def test_leaf_is_short_and_says_how_to_run_it(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 25
    header = [line for line in lines if line.startswith('#')]
    assert any(f'python tools/train.py configs/{path.name}' in line for line in header)


@by_name
def test_tiny_models_build_and_predict(path):
    cfg = load_config(str(path))
    if 'init_seed' not in cfg.model.backbone.encoder:
        pytest.skip('needs downloaded weights')
    model = MODELS.build(cfg.model).eval()
    with torch.no_grad():
        logits = model(torch.randn(1, 3, 64, 128), mode='tensor')
    assert logits.shape[:2] == (1, cfg.model.num_classes)


def test_swapping_the_method_by_option_needs_nothing_else():
    for method in ('LoRA', 'Frozen', 'Full'):
        options = {'model.backbone.peft.type': method}
        cfg = load_config(str(CONFIGS[0].parent / 'rein_tiny_miniscapes.py'), cfg_options=options)
        model = MODELS.build(cfg.model)
        assert type(model.backbone.peft).__name__ == method
        assert not hasattr(model.decode_head, 'query_proj')


def test_data_root_reaches_every_data_set_without_its_own():
    path = str(CONFIGS[0].parent / 'rein_tiny_camvid.py')
    cfg = load_config(path, cfg_options={'data_root': 'elsewhere'})
    assert cfg.train_dataloader.dataset.data_root == 'elsewhere'
    assert {d.data_root for d in cfg.val_dataloader.dataset.datasets} == {'elsewhere'}
    gtav = load_config(str(CONFIGS[0].parent / 'rein_dinov2_gtav.py'))
    assert gtav.train_dataloader.dataset.data_root == 'data/gta'


def test_a_partial_test_cfg_keeps_the_protocol():
    path = str(CONFIGS[0].parent / 'rein_tiny_camvid.py')
    cfg = load_config(path, cfg_options={'model.test_cfg.batch_windows': 2})
    assert cfg.model.test_cfg == {**cfg.benchmark.test_cfg, 'batch_windows': 2}
    assert cfg.model.test_cfg.mode == 'slide'


def test_max_iters_reaches_loop_and_schedule():
    path = str(CONFIGS[0].parent / 'rein_tiny_miniscapes.py')
    cfg = load_config(path, cfg_options={'max_iters': 50})
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (50, 50)
    assert [s.end for s in cfg.param_scheduler] == [20, 50]


def test_data_root_that_reaches_nothing_is_refused():
    path = str(CONFIGS[0].parent / 'rein_dinov2_gtav.py')
    with pytest.raises(UserError, match='data_root: not in the config'):
        load_config(path, cfg_options={'data_root': 'x'})


def test_documents_have_no_dead_link_and_nothing_to_fill_in():
    root = Path(__file__).parent.parent
    for page in [*root.glob('*.md'), *root.glob('docs/**/*.md')]:
        text = page.read_text()
        assert not re.search(r'@[A-Z]+@', text), page
        for link in re.findall(r'\]\(([^)#:]+)\)', text):
            assert (page.parent / link).exists(), f'{page}: {link}'


def test_gtav_needs_its_weights_and_has_the_published_size():
    path = str(CONFIGS[0].parent / 'rein_dinov2_gtav.py')
    with pytest.raises(UserError, match="'checkpoints/dinov2_vitl14_pretrain.pth' does not exist"):
        MODELS.build(load_config(path).model)
    random = {'model.backbone.encoder.checkpoint': None, 'model.backbone.encoder.init_seed': 0}
    model = MODELS.build(load_config(path, cfg_options=random).model)
    counts = count_parameters(model)
    assert counts['method'] == 2_990_081  # specs/rein.md section 7
    # without the final norm and the mask token, which are not used
    assert counts['frozen'] == 304_199_680 - 3 * 1024
