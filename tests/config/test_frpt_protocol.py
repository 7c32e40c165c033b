"""The benchmarks and protocols of FRPT, on faked trees, and a run."""

import pytest
from mmseg.registry import DATASETS

from rein_seg.apis import load_config
from rein_seg.config.builtin import benchmarks
from rein_seg.config.resolve import resolve
from rein_seg.datasets import AircraftDataset, Cars196Dataset, CUB200Dataset
from rein_seg.errors import UserError
from rein_seg.export.count import build_shapes
from rein_seg.models.base import count_parameters
from tests.datasets.images import trees
from tests.paths import REPO

KINDS = {'cub200': CUB200Dataset, 'cars196': Cars196Dataset, 'aircraft': AircraftDataset}
LEAVES = {f'frpt_resnet50_{name}': f'frpt_{name}' for name in KINDS}
LEAVES['frpt_ibn_resnet50_cub200'] = 'frpt_repository_cub200'


def leaf(name, **options):
    options = {key.replace('__', '.'): value for key, value in options.items()}
    return load_config(str(REPO / 'configs' / f'{name}.py'), cfg_options=options)


@pytest.mark.parametrize('name', KINDS)
def test_half_of_the_classes_train(name):
    benchmark, cls = benchmarks()[name], KINDS[name]
    train, test = benchmark.train[0], benchmark.val[0]
    assert (train.args['part'], test.args['part']) == ('train_classes', 'test_classes')
    assert benchmark.num_classes == cls.first_classes
    total = {'cub200': 11_788, 'cars196': 16_185, 'aircraft': 10_000}[name]
    assert train.images + test.images == total
    assert benchmark.metric_node('test')['targets'] == [name]


@pytest.mark.parametrize(('name', 'protocol'), LEAVES.items())
def test_recipes(name, protocol):
    cfg = leaf(name)
    assert cfg.benchmark.protocol == protocol
    optimizer, schedules = cfg.optim_wrapper.optimizer, cfg.param_scheduler
    epoch = cfg.max_iters / 500
    if 'repository' in protocol:
        assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.02, 0.0, 5e-4)
        assert [one.type for one in schedules] == ['LinearLR', 'CosineAnnealingLR']
        assert (schedules[0].end, schedules[1].eta_min) == (1000, 2e-5)
        assert (cfg.train_dataloader.batch_size, epoch) == (256, 23)
    else:
        assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (1e-3, 0.9, 1e-4)
        assert (schedules[0].step_size, schedules[0].gamma) == (50 * epoch, 0.9)
        assert cfg.train_dataloader.batch_size == 32
        images = cfg.benchmark.num_images if 'num_images' in cfg.benchmark else None
        assert images is None or epoch * 32 >= images


def test_parameters_of_the_paper_s_form():
    """2.86 M are published; the parts that the equations name are 1.50 M."""
    counts = count_parameters(build_shapes(leaf('frpt_resnet50_cub200')))
    assert counts['method'] == 246_016
    assert counts['neck_and_head'] == 1_048_576 + 204_800
    counts = count_parameters(build_shapes(leaf('frpt_ibn_resnet50_cub200')))
    assert counts['method'] == 1024 + 3721


@pytest.mark.parametrize('method', ['Frozen', 'LoRA', 'Full'])
def test_siblings_by_one_option(method):
    cfg = leaf('frpt_resnet50_cub200', model__backbone__peft__type=method)
    assert cfg.model.backbone.peft == dict(type=method)


def test_classes_that_the_lists_name_are_no_deviation(tmp_path):
    root = trees.cub(tmp_path / 'CUB_200_2011', classes=200, each=2)
    resolved = resolve(leaf('frpt_resnet50_cub200', data_root=str(root)))
    assert not resolved.deviations.training
    data = {use: resolved.cfg[f'{use}_dataloader'].dataset for use in ('train', 'val')}
    names = {use: tuple(node.metainfo.classes) for use, node in data.items()}
    assert len(names['train']) == len(names['val']) == 100
    assert not set(names['train']) & set(names['val'])
    assert len(DATASETS.build(data['val'])) == 200


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(val_evaluator__type='ImageAccuracy'), 'RetrievalHead gives embeddings'),
        (dict(val_evaluator__ks=0), 'ks'),
    ],
)
def test_parts_that_do_not_fit(options, words):
    with pytest.raises(UserError, match=words):
        resolve(leaf('frpt_resnet50_cub200', **options))
