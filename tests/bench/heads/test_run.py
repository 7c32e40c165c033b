"""Heads in turn: order of the steps, what is counted, ratios, memory, and what is refused."""

import json

import pytest
import torch

from rein_seg.bench.heads import HEADS, benchmark_heads, heads_tables, run
from rein_seg.bench.heads.memory import peak_memory
from rein_seg.bench.heads.variants import Variant, build_target, chosen_heads
from rein_seg.bench.speed.benchmark_target import BenchmarkTarget, Work
from rein_seg.bench.speed.floor import Product
from rein_seg.checkpoint import write_json
from rein_seg.errors import UserError
from tests.bench.speed.tiny import mask2former_file

MASKS = """
decode_head = dict(type='EoMTHead', num_queries=5, num_blocks=2, loss=dict(num_points=64))
"""
SMALL = {'model.backbone.encoder.init_seed': 0}


@pytest.fixture
def config(tmp_path):
    return mask2former_file(tmp_path)


@pytest.fixture
def variants(tmp_path, monkeypatch):
    path = tmp_path / 'eomt.py'
    path.write_text(MASKS)
    found = {
        'linear': HEADS['linear'],
        'EoMT': Variant(str(path)),
        'EoMT-16': Variant(str(path), changes={'upscale_channels': 16}),
    }
    monkeypatch.setattr('rein_seg.bench.heads.variants.HEADS', found)
    return found


def work(mode='train', size=(64, 64)):
    return Work(mode=mode, size=size, random=True)


def test_heads_take_the_place_of_the_config_s_own(config, variants):
    linear, plain, narrow = (build_target(config, each, work()) for each in variants.values())
    assert type(linear.model.decode_head).__name__ == 'LinearHead'
    assert linear.model.backbone.query_dims == 32
    assert plain.model.backbone.query_dims is None
    assert plain.model.decode_head.mask_head[-1].out_features == 32
    assert narrow.model.decode_head.mask_head[-1].out_features == 16
    assert type(narrow.model.backbone.peft).__name__ == 'Rein'


def test_masks_are_in_force_in_training_and_open_after_it(config, variants):
    target = build_target(config, variants['EoMT'], work())
    window = target.doing(work('predict'))
    assert window.model is target.model
    probs = target.model.decode_head.attn_mask_probs
    target.step()
    assert probs.tolist() == [1, 1]
    assert target.model.training
    assert [tuple(one.pred_sem_seg.data.shape) for one in window.step()] == [(1, 64, 64)]
    assert probs.tolist() == [0, 0]
    assert not target.model.training
    target.step()
    assert probs.tolist() == [1, 1]
    assert target.model.training


def test_steps_are_taken_in_turn_and_ratios_are_of_the_first(config, variants, monkeypatch):
    monkeypatch.setattr(run, 'Product', lambda *args: Product(*args, side=64))
    seen, call, crops = [], BenchmarkTarget._call, []
    names = {'LinearHead': 'L', 'EoMTHead': 'E'}

    def record(self, function):
        shape = 'x'.join(map(str, self.size))
        seen.append(f'{names[type(self.model.decode_head).__name__]} {self.work.mode} {shape}')
        crops.append((self.model.test_cfg.crop_size, self.model.test_cfg.stride))
        return call(self, function)

    monkeypatch.setattr(BenchmarkTarget, '_call', record)
    figures = benchmark_heads(
        [config], works=('train', 'slide'), size=64, repeats=2, device='cpu', memory=(),
        num_threads=1,
    )  # fmt: skip
    one_round = ['L train 64x64', 'E train 64x64', 'E train 64x64']
    slides = [each.replace('train 64x64', 'predict 64x128') for each in one_round]
    # a round to warm up, two counted, and a step of each to count FLOPs
    assert seen == one_round * 4 + slides * 4
    assert crops == [((64, 64), (42, 42))] * len(seen)
    works = figures['configs'][config]
    assert list(works) == ['train', 'slide']
    for one in works.values():
        assert list(one['heads']) == list(variants)
        assert one['heads']['linear']['time_ratio'] == 1
        for each in one['heads'].values():
            low, high = each['time_ratio_range']
            assert low <= each['time_ratio'] <= high
            assert each['floor_s'] == pytest.approx(each['gflop'] / one['gflop_per_s'])
            assert each['times_floor'] == pytest.approx(each['seconds'] / each['floor_s'])
            assert 'step_mib' not in each
    trained, slid = (one['heads'] for one in works.values())
    assert trained['linear']['gflop'] < trained['EoMT-16']['gflop'] < trained['EoMT']['gflop']
    assert slid['linear']['gflop'] < slid['EoMT']['gflop']
    text = heads_tables(figures)
    assert '| EoMT-16 |' in text
    assert 'step MiB' not in text


def test_flops_are_the_products_of_the_model(config, variants):
    """A window of the upscale blocks by hand: 2 * rows * C * 4 D, twice, and the rest."""
    from rein_seg.bench.speed.flops import count_flops

    found = {}
    for name in ('EoMT', 'EoMT-16'):
        target = build_target(config, variants[name], work('predict'))
        counts = count_flops(target.eager_step, target.model)
        found[name] = sum(sum(part.values()) for part in counts.values())

    def head(width):
        rows, queries, channels = 16, 5, 32
        narrow = 2 * rows * channels * width if width != channels else 0
        products = sum(2 * n * width * 4 * width for n in (rows, 4 * rows))
        depthwise = sum(2 * n * width * 9 for n in (4 * rows, 16 * rows))
        masks = 2 * queries * width * 16 * rows
        return narrow + products + depthwise + masks + 2 * queries * channels * width

    assert found['EoMT'] - found['EoMT-16'] == head(32) - head(16)


def test_memory_is_of_a_process_of_its_own(config, variants, tmp_path, monkeypatch):
    calls = []
    windows = {
        'model.test_cfg.mode': 'slide',
        'model.test_cfg.crop_size': (64, 64),
        'model.test_cfg.stride': (42, 42),
    }

    def peak(config, variant, *, work, num_threads, cfg_options):
        calls.append((variant, work.mode, work.size, cfg_options))
        return {'step_mib': 100.0 * len(calls), 'process_mib': 1000.0}

    monkeypatch.setattr(run, 'peak_memory', peak)
    monkeypatch.setattr(run, 'Product', lambda *args: Product(*args, side=64))
    figures = benchmark_heads(
        [config], heads=['EoMT', 'linear'], works=('window',), memory=('window',), size=64,
        repeats=1, warmup=0, device='cpu', cfg_options=SMALL,
    )  # fmt: skip
    assert calls == [
        (variants[name], 'predict', (64, 64), windows | SMALL) for name in ('EoMT', 'linear')
    ]
    heads = figures['configs'][config]['window']['heads']
    assert [one['memory_ratio'] for one in heads.values()] == [1, 2]
    assert '| 200 | 2.00 | 1000 |' in heads_tables(figures)
    write_json(tmp_path / 'heads.json', figures)
    assert json.loads((tmp_path / 'heads.json').read_text())['settings']['size'] == 64


def test_a_new_process_measures_a_step(config, variants):
    found = peak_memory(config, variants['linear'], work('predict'), num_threads=1)
    assert found['process_mib'] > found['step_mib'] >= 0
    assert not torch.cuda.is_available()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(heads=['EoTM']), "head 'EoTM': did you mean"),
        (dict(heads=['linear', 'linear']), 'comes twice'),
        (dict(works=['slides']), "work 'slides': expected some of train, window, slide"),
        (dict(memory=['windows']), "work 'windows'"),
    ],
)
def test_unknown_words_are_refused(config, arguments, message):
    with pytest.raises(UserError, match=message):
        benchmark_heads([config], **arguments)


def test_the_first_head_is_the_one_to_compare_with():
    assert next(iter(chosen_heads(None))) == 'Mask2Former'
    assert list(chosen_heads(['PMT', 'EoMT-256'])) == ['PMT', 'EoMT-256']
