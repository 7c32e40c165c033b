"""The protocol is one word; the schedule of Conv-LoRA decays what the official one does."""

import pytest
from mmengine.config import Config
from mmpretrain.models.utils import LayerNorm2d
from torch import nn

from rein_seg.apis import load_config
from rein_seg.config.builtin import benchmarks
from rein_seg.config.read import read
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError
from tests.engine.optimizers import hyper
from tests.run.tiny_run import tiny_config


@pytest.fixture(scope='module')
def task():
    return Config(
        {**benchmarks()['polyp'].content(), 'model': read('lora_sam_huge_polyp').content.model}
    )


def completed(cfg, **options):
    return resolve(cfg, Request(options=options)).cfg


def steps(dataset):
    return [step.type for step in dataset.pipeline]


def test_the_protocol_is_one_word(task):
    original, square = completed(task), completed(task, protocol='square1024')
    for cfg, name in ((original, 'original'), (square, 'square1024')):
        assert {
            cfg.benchmark.protocol,
            cfg.val_evaluator.protocol,
            cfg.test_evaluator.protocol,
        } == {name}
        tested = [cfg.val_dataloader.dataset, *cfg.test_dataloader.dataset.datasets]
        assert all(('ScoreAtInputSize' in steps(d)) == (name == 'square1024') for d in tested)
    assert steps(original.train_dataloader.dataset) == steps(square.train_dataloader.dataset)
    with pytest.raises(UserError, match="protocol='square'; did you mean 'square1024'"):
        completed(task, protocol='square')


def test_all_images_and_the_last_state_by_the_documented_options(repo):
    path = str(repo / 'configs/conv_lora_sam_base_polyp.py')
    options = {
        'train_dataloader.dataset.part': None,
        'default_hooks.checkpoint.save_best': None,
        'default_hooks.early_stopping': None,
    }
    cfg = load_config(path, cfg_options=options)
    assert 'early_stopping' not in cfg.default_hooks  # mmengine takes no None for it
    assert cfg.default_hooks.checkpoint.save_best is None


@pytest.mark.parametrize('through', ['option', 'leaf'])
def test_iterations_override_epochs_and_leave_validation_by_epoch(repo, monkeypatch, through):
    path = str(repo / 'configs/conv_lora_sam_base_polyp.py')
    cfg = load_config(path, cfg_options={'max_iters': 1000} if through == 'option' else None)
    if through == 'leaf':
        cfg.max_iters = 1000
    monkeypatch.setattr('rein_seg.config.schedule.DATASETS.build', lambda _: range(1305))
    cfg = resolve(cfg, Request(training=True)).cfg
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (1000, 327)
    assert cfg.default_hooks.checkpoint.interval == 327
    assert cfg.param_scheduler[0].end == 1000


def test_a_data_set_may_have_its_own_pipeline(task):
    own = [dict(type='LoadImageFromFile')]
    cfg = completed(task, **{'val_dataloader.dataset.pipeline': own})
    assert steps(cfg.val_dataloader.dataset) == ['LoadImageFromFile']
    assert 'LoadLabels' in steps(cfg.test_dataloader.dataset.datasets[0])


def test_a_completed_config_takes_another_protocol_unless_all_pipelines_are_its_own(task):
    """The config that a run leaves behind has its pipelines."""
    cfg = completed(task, protocol='square1024')
    assert completed(cfg).val_evaluator.protocol == 'square1024'
    back = completed(cfg, protocol='original')
    assert steps(back.val_dataloader.dataset) == steps(completed(task).val_dataloader.dataset)
    own = [dict(type='LoadImageFromFile')]
    for loader in ('val', 'test'):
        node = cfg[f'{loader}_dataloader'].dataset
        for part in node.get('datasets', [node]):
            part.pipeline = own
    with pytest.raises(UserError, match="protocol='original' reaches no data set.*'square1024'"):
        completed(cfg, protocol='original')


class Head(nn.Module):
    """The names of SAM's decoder."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(8)
        self.mask_tokens = nn.Embedding(1, 8)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(8, 2, 2), LayerNorm2d(2), nn.GELU()
        )


def test_schedule_decays_the_two_dimensional_norm_but_no_bias_and_no_other_norm(repo):
    from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

    cfg = load_config(str(repo / 'configs/conv_lora_sam_huge_leaf.py'))
    wrapper_cfg = cfg.optim_wrapper
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=wrapper_cfg.pop('constructor'),
            paramwise_cfg=wrapper_cfg.pop('paramwise_cfg'),
            optim_wrapper_cfg=wrapper_cfg,
        )
    )
    model = nn.Module()
    model.decode_head = Head()
    found = hyper(model, constructor(model))
    assert {name.removeprefix('decode_head.') for name, (_, decay) in found.items() if decay} == {
        'mask_tokens.weight',
        'output_upscaling.0.weight',
        'output_upscaling.1.weight',
    }
    assert set(found.values()) == {(3e-4, 1e-4), (3e-4, 0.0)}


def test_one_word_keeps_decoded_copies_of_the_training_data(repo):
    path = str(repo / 'configs/rein_dinov2_gtav_synthia.py')
    cfg = load_config(path, cfg_options={'cache_dir': 'copies'})
    assert [d.cache_dir for d in cfg.train_dataloader.dataset.datasets] == ['copies'] * 2
    assert all('cache_dir' not in d for d in cfg.val_dataloader.dataset.datasets)


def test_iterations_of_an_option_reach_a_loop_with_its_own(tmp_path):
    cfg = tiny_config(tmp_path, max_iters=8)
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (8, 8)
    assert cfg.param_scheduler[0].end == 8
