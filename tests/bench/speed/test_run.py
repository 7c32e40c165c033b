"""The figures as a whole: floor, reference, comparison, files, and what is refused."""

import json
from functools import partial

import pytest
import torch

from rein_seg.apis import load_config
from rein_seg.bench.speed import benchmark_speed, run, speed_tables
from rein_seg.bench.speed.benchmark_target import BenchmarkTarget, Work, make_targets
from rein_seg.bench.speed.data import time_data
from rein_seg.bench.speed.floor import Product, Reference, against, find_reference, floors
from rein_seg.checkpoint import write_json
from rein_seg.errors import UserError
from rein_seg.fast.switches import FORMS
from tests.bench.speed.tiny import mask2former_file
from tests.paths import REPO
from tests.run.tiny_run import tiny_config, write_config

CPU = torch.device('cpu')
SMALL = str(REPO / 'configs/rein_dinov2_small_gtav.py')


@pytest.fixture(autouse=True)
def _small_products(monkeypatch):
    monkeypatch.setattr(run, 'Product', partial(Product, side=64))


def test_rate_floor_and_reference_by_hand():
    product = Product(CPU, torch.float32, side=100)
    assert product.rates([0.001]) == [pytest.approx(2 * 100**3 * product.times / 1e9 / 0.001)]
    flops = {
        'encoder blocks': {'forward': 3 * 10**9, 'backward': 10**9},
        'method': {'forward': 10**9, 'backward': 0},
        'losses': {'forward': 0, 'backward': 2 * 10**9},
        'preprocessing': {'forward': 10**9, 'backward': 0},
    }
    assert floors(flops, rate=4.0) == {
        'encoder': {'gflop': 5.0, 'floor_s': 1.25},
        'head': {'gflop': 2.0, 'floor_s': 0.5},
        'step': {'gflop': 8.0, 'floor_s': 2.0},
    }
    product = Product(CPU, torch.float64)
    assert 128 <= product.side <= 2048  # a side that this machine multiplies in no long time
    # half as fast a machine takes the reference twice as long
    found = against(Reference(typical=10.0, best=7.0), seconds=8.0, rate=72.5)
    assert (found['scaled_s'], found['ratio']) == (20.0, 0.4)
    assert found['strict'] == pytest.approx(8 / (7 * 140 / 72.5))


def test_the_reference_is_of_the_published_system_alone():
    from rein_seg.export.count import build_shapes

    model = build_shapes(load_config(SMALL))
    asked = dict(mode='train', size=(512, 512), batch=1, plain=True)
    assert find_reference(model, **asked).typical == 6.65
    assert find_reference(model, **{**asked, 'mode': 'predict'}).typical == 2.43
    slide = {**asked, 'mode': 'predict', 'size': (512, 1024)}
    assert find_reference(model, **slide) == Reference(typical=9.2, best=7.2)
    for other in (dict(size=(512, 1024)), dict(batch=2), dict(plain=False)):
        assert find_reference(model, **{**asked, **other}) is None
    other = build_shapes(load_config(str(REPO / 'configs/rein_dinov2_gtav.py')))
    assert find_reference(other, **asked) is None


def test_all_figures_are_there(tmp_path):
    config = mask2former_file(tmp_path)
    figures = benchmark_speed(
        config,
        compare_with=['model.backbone.peft.link_to_queries=False,model.decode_head.num_queries=4'],
        size=(64, 64),
        batch=2,
        repeats=2,
        device='cpu',
        num_threads=1,
    )
    name, other = figures['targets']
    assert name == 'mask2former'
    one, two = figures['targets'].values()
    assert one['time_ratio'] == 1
    assert two['time_ratio_range'][0] <= two['time_ratio'] <= two['time_ratio_range'][1]
    assert one['images_per_s'] == pytest.approx(2 / one['seconds'])
    assert one['seconds_range'][0] <= one['seconds'] <= one['seconds_range'][1]
    total = sum(sum(part.values()) for part in one['flops'].values())
    step = one['floor']['step']
    assert step['gflop'] == pytest.approx(total / 1e9)
    rate = figures['rates']['float32']['gflop_per_s']
    assert step['floor_s'] == pytest.approx(step['gflop'] / rate)
    assert step['ratio'] == pytest.approx(one['seconds'] / step['floor_s'])
    head = one['floor']['head']
    parts = one['profile']['parts']
    assert head['seconds'] < sum(part['ms'] for part in parts.values()) / 1000
    assert 'reference' not in one
    assert 'is not there' in figures['data']['not_measured']
    settings = figures['settings']
    assert (settings['size'], settings['batch'], settings['mode']) == ([64, 64], 2, 'train')
    assert {'torch', 'numpy'} <= set(figures['environment']['packages'])
    write_json(tmp_path / 'speed.json', figures)
    assert json.loads((tmp_path / 'speed.json').read_text())['config'] == config
    text = speed_tables(figures)
    for word in (name, other, 'deformable sampling', 'times the floor', 'data: not measured'):
        assert word in text


@pytest.mark.parametrize('onednn', [True, False])
def test_the_reference_is_scaled_by_the_rate_of_its_own_library(tmp_path, monkeypatch, onednn):
    monkeypatch.setattr(run.onednn_matmul, 'library', lambda: 'oneDNN' if onednn else 'MKL')
    monkeypatch.setattr(run, 'find_reference', lambda *args, **kwargs: Reference(10.0, 10.0))
    figures = benchmark_speed(
        mask2former_file(tmp_path), size=(64, 64), mode='predict', device='cpu', repeats=1
    )
    rates = figures['rates']
    assert set(rates) == ({'float32', run.OWN} if onednn else {'float32'})
    one = figures['targets']['mask2former']
    own = rates[run.OWN if onednn else 'float32']['gflop_per_s']
    assert one['reference']['scaled_s'] == pytest.approx(10 * 145 / own)
    assert one['floor']['step']['floor_s'] * rates['float32']['gflop_per_s'] == pytest.approx(
        one['floor']['step']['gflop']
    )


def test_a_prediction_is_measured_in_bfloat16(tmp_path):
    config = write_config(tmp_path)
    figures = benchmark_speed(
        config, mode='predict', amp=True, device='cpu', repeats=1, profile=False
    )
    assert set(figures['rates']) == {'bfloat16'}
    assert 'data' not in figures
    assert 'profile' not in figures['targets']['tiny']
    assert 'bfloat16' in speed_tables(figures)


def test_training_data_are_timed_where_they_are(tmp_path):
    cfg = tiny_config(tmp_path)
    assert 'is not there' in time_data(cfg, batch=2, repeats=1)['not_measured']
    (tmp_path / 'scenes').mkdir()
    found = time_data(cfg, batch=2, repeats=1)
    assert found['seconds'] > 0
    assert found['workers'] == cfg.train_dataloader.num_workers


def test_a_step_trains_and_a_prediction_does_not(tmp_path):
    target = BenchmarkTarget(tiny_config(tmp_path), Work(batch=2))
    before = {name: p.clone() for name, p in target.model.named_parameters() if p.requires_grad}
    assert 'loss' in target.step()
    after = dict(target.model.named_parameters())
    assert any(not torch.equal(after[name], value) for name, value in before.items())
    predicts = BenchmarkTarget(tiny_config(tmp_path), Work('predict', size=(32, 96), batch=2))
    results = predicts.step()
    assert [tuple(r.pred_sem_seg.data.shape) for r in results] == [(1, 32, 96)] * 2
    assert not predicts.model.training
    assert predicts.optim_wrapper is None


def test_labels_hold_several_classes_and_ignored_pixels(tmp_path):
    target = BenchmarkTarget(tiny_config(tmp_path), Work(batch=1))
    label = target._data['data_samples'][0].gt_sem_seg.data
    assert label.shape == (1, 32, 64)
    assert len(label.unique()) > 4
    assert (label == 255).any()


def test_a_missing_file_of_weights_means_random_ones():
    arch = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64, _delete_=True)
    cfg = load_config(SMALL, cfg_options={'model.backbone.encoder.arch': arch})
    target = BenchmarkTarget(cfg, Work('predict', size=(64, 64)))
    assert target.random
    assert target.model.backbone.encoder_info.weights == 'random:seed=0'


def test_options_are_compared_and_amp_and_compile_are_options(tmp_path):
    entries = ['amp=True', 'model.test_cfg.mode=slide,model.test_cfg.crop_size=[32,32],'
               'model.test_cfg.stride=[16,16],compile=True']  # fmt: skip
    config = write_config(tmp_path)
    plain, amp, slide = make_targets(config, entries, Work('predict'), cfg_options={}).values()
    assert (plain.plain, amp.plain, slide.plain) == (True, False, False)
    assert amp.work.amp
    assert slide.work.compile
    assert slide.model.test_cfg.crop_size == [32, 32]
    trains = make_targets(config, ['amp=True'], Work(), cfg_options={})
    assert [target.dtype for target in trains.values()] == [torch.float32, torch.bfloat16]
    assert not trains['amp=True'].plain
    assert type(trains['amp=True'].optim_wrapper).__name__ == 'AutocastOptimWrapper'


def test_fast_forms_are_left_out_by_name(tmp_path):
    entries = ['without=winograd', 'without=[short_softmax,kept_memory],official=True']
    config = write_config(tmp_path)
    whole, one, two = make_targets(config, entries, Work(), cfg_options={}).values()
    assert [target.work.without for target in (whole, one, two)] == [
        (), ('winograd',), ('short_softmax', 'kept_memory')]  # fmt: skip
    assert [target.frees_memory for target in (whole, one, two)] == [False, False, True]
    assert (whole.plain, one.plain) == (True, False)
    seen = []
    one._function = lambda: lambda *args: seen.append(FORMS['winograd'].on)
    one.eager_step()
    assert seen == [False]
    assert FORMS['winograd'].on


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(compare_with=['without=winogard']), "fast form 'winogard': did you mean"),
        (dict(mode='trian'), "mode='trian': expected one of"),
        (dict(batch=0), 'batch=0'),
        (dict(size=(32,)), r'size=\(32,\)'),
        (dict(size=(32, 60)), 'multiples of its patch, 8 pixels'),
        (dict(device='gpu'), "device='gpu' cannot be used here"),
        (dict(compare_with=['none.py']), "--compare: config 'none.py' does not exist"),
        (dict(compare_with=['amp=True,oops']), r"amp='True,oops'|expected"),
        (dict(compare_with=['amp=1']), 'amp=1: expected True or False'),
        (dict(compare_with=['amp=True', 'amp=True']), "'amp=True' comes twice"),
        (dict(compare_with=['modl.x=1']), 'modl: not in the config'),
    ],
)
def test_bad_arguments_are_refused(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        benchmark_speed(write_config(tmp_path), **{'device': 'cpu', 'repeats': 1, **arguments})
