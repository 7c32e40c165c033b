"""Several tasks in a config: what is filled in, and what is refused."""

import copy

import pytest

from rein_seg.config.builtin import benchmarks
from rein_seg.config.read import read
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError
from tests.paths import REPO

TINY = str(REPO / 'configs/lv_adapter_tinyclip_miniscapes.py')


@pytest.fixture(scope='module')
def whole():
    return resolve(TINY, Request(training=True))


def changed(whole, change):
    """Resolves a copy of the config after a change of it."""
    cfg = copy.deepcopy(whole.cfg)
    change(cfg)
    return resolve(cfg, Request(training=True)).cfg


def test_a_benchmark_of_tasks_fills_model_and_sampler(whole):
    cfg = whole.cfg
    assert list(cfg.model.tasks) == ['semantic', 'road']
    assert cfg.model.tasks.road == {'classes': ['background', 'road']}
    assert cfg.model.num_classes == 20
    assert cfg.model.text.classes[-1] == 'background'
    assert cfg.model.text.classes.count('road') == 1
    assert cfg.train_dataloader.sampler == {'type': 'TaskSampler'}
    assert cfg.train_dataloader.dataset.type == 'TaskDatasets'
    assert [one.task for one in cfg.val_evaluator] == ['semantic', 'road']
    assert cfg.model_wrapper_cfg.find_unused_parameters
    assert whole.deviations.val == ()
    assert whole.protocol.name == 'miniscapes-tasks'


def test_what_the_shipped_benchmarks_of_tasks_hold():
    tiny, urban = benchmarks()['miniscapes_tasks'], benchmarks()['bdd100k_tasks']
    assert [one.args['task'] for one in tiny.domains('train')] == ['semantic', 'road']
    assert [one.args['task'] for one in urban.domains('test')] == ['semantic', 'drivable']
    assert [one['task'] for one in urban.metric_nodes('val')] == ['semantic', 'drivable']
    for name in ('adapt', 'finetune'):
        cfg = resolve(f'lv_adapter_resnet50_clip_bdd100k_{name}', Request(training=True)).cfg
        assert cfg.model.text.names.direct == ['drivable road']
        assert (cfg.max_iters, cfg.train_dataloader.batch_size) == (20000, 16)
        assert cfg.optim_wrapper.optimizer.lr == 1e-4
        rate = cfg.optim_wrapper.paramwise_cfg.get('prefix_lr_mult')
        assert rate == (None if name == 'adapt' else {'backbone.': 0.1})


@pytest.mark.parametrize(
    ('first', 'second'),
    [
        ('lv_adapter_tinyclip_miniscapes', 'lv_adapter_tinyclip_miniscapes_finetune'),
        ('lv_adapter_resnet50_clip_bdd100k_adapt', 'lv_adapter_resnet50_clip_bdd100k_finetune'),
    ],
)
def test_the_second_stage_starts_from_the_first(first, second):
    content = read(str(REPO / f'configs/{second}.py')).content
    assert content['load_from'] == f'work_dirs/{first}/adapter.safetensors'
    assert content['new_method'] is True


def take(cfg, *keys):
    for key in keys:
        cfg = cfg[key]
    return cfg


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda c: c.model.update(type='PEFTSegmentor', tasks=None), 'tasks'),
        (
            lambda c: take(c, 'val_dataloader', 'dataset', 'datasets', 1).update(task='raod'),
            "task='raod'; did you mean 'road'",
        ),
        (
            lambda c: take(c, 'train_dataloader', 'dataset', 'datasets', 1).pop('task'),
            "train_dataloader: the data set of 'clear' names no task",
        ),
        (
            lambda c: c.train_dataloader.dataset.datasets.pop(1),
            "train_dataloader has no data set of the task 'road'",
        ),
        (lambda c: c.val_evaluator.pop(1), "val_evaluator scores no task 'road'"),
        (
            lambda c: c.val_evaluator[1].update(task='raod'),
            "val_evaluator: DomainIoUMetric has task='raod'",
        ),
        (
            lambda c: c.model.tasks.road.update(classes=['road', 'background']),
            r"model.tasks.road has \['road', 'background'\]: expected the same",
        ),
        (
            lambda c: c.train_dataloader.update(sampler=dict(type='RareClassSampler')),
            "sampler.type='RareClassSampler' mixes tasks",
        ),
        (
            lambda c: c.benchmark.update(unseen=['car']),
            'benchmark.unseen is of one list of classes',
        ),
        (lambda c: c.model.update(num_classes=19), 'num_classes=19, and the tasks name 20'),
    ],
)
def test_bad_tasks(whole, change, words):
    with pytest.raises(UserError, match=words):
        changed(whole, change)


def one_task(cfg):
    for use in ('train', 'val', 'test'):
        data = cfg[f'{use}_dataloader'].dataset
        data.datasets = [one for one in data.datasets if one.task == 'road']
    for use in ('val', 'test'):
        cfg[f'{use}_evaluator'] = [one for one in cfg[f'{use}_evaluator'] if one.task == 'road']
    cfg.model.tasks.pop('semantic')


def test_one_task_needs_no_model_of_several(whole):
    with pytest.raises(UserError, match=r"task 'road' alone: expected two .*'PEFTSegmentor'"):
        changed(whole, one_task)


def test_a_benchmark_of_one_task_does_for_no_model_of_several():
    options = {'benchmark': 'miniscapes'}
    with pytest.raises(UserError, match=r'names no task.*set task=NAME.*benchmark of several'):
        resolve(TINY, Request(training=True, options=options))


def test_a_model_of_one_task_takes_no_data_of_several():
    plain = resolve('frozen_tiny_miniscapes', Request(training=True)).cfg
    plain.train_dataloader.dataset.task = 'road'
    with pytest.raises(UserError, match=r"has task='road', and .*trains one task"):
        resolve(plain, Request(training=True))


def test_predictions_of_each_task_have_a_folder():
    cfg = resolve(TINY, Request(out='maps')).cfg
    assert [one.output_dir for one in cfg.test_evaluator] == ['maps/semantic', 'maps/road']
