"""The official forms: each gives what ours gives, of one step."""

import contextlib
from functools import partial

import pytest
import torch

from rein_seg.apis import load_config
from rein_seg.bench.speed import benchmark_speed, run
from rein_seg.bench.speed.benchmark_target import BenchmarkTarget, Work, make_targets
from rein_seg.bench.speed.floor import Product
from rein_seg.bench.speed.official import OFFICIAL, SCORES, officially
from rein_seg.errors import UserError
from rein_seg.fast import onednn_matmul
from rein_seg.fast.switches import SWITCHES
from tests.bench.speed.tiny import mask2former_file


def outcome(config, mode, names):
    """Losses of a training step, or scores of a prediction in windows."""
    options = {
        'model.test_cfg.mode': 'slide',
        'model.test_cfg.crop_size': [64, 64],
        'model.test_cfg.stride': [32, 32],
        'model.test_cfg.keep_logits': True,
    }
    work = Work(mode, size=(64, 64 if mode == 'train' else 96), random=True)
    target = BenchmarkTarget(load_config(config, cfg_options=options), work)
    torch.manual_seed(0)
    with officially(names):
        done = target.step()
    if mode == 'train':
        return torch.stack([value for name, value in done.items() if 'loss_' in name])
    return done[0].seg_logits.data


@pytest.fixture(scope='module')
def _onednn():
    """oneDNN's products, of any size."""
    with pytest.MonkeyPatch.context() as patch, onednn_matmul.onednn(onednn_matmul.works()):
        patch.setattr(onednn_matmul, '_FEWEST', 0)
        patch.setattr(onednn_matmul, '_NARROWEST', 1)
        yield


@pytest.fixture(scope='module', params=['train', 'predict'])
def ours(request, tmp_path_factory, _onednn):
    """A config file, what is done with it, and what comes out of our own form."""
    config = mask2former_file(tmp_path_factory.mktemp('official'))
    return config, request.param, outcome(config, request.param, [])


@pytest.mark.parametrize('names', [*([name] for name in OFFICIAL), list(OFFICIAL)], ids=str)
def test_gives_the_same(ours, names):
    config, mode, expected = ours
    torch.testing.assert_close(outcome(config, mode, names), expected, rtol=1e-4, atol=1e-5)


def test_matrix_products_are_pytorchs_own():
    with onednn_matmul.onednn(onednn_matmul.works()):
        with officially():
            assert onednn_matmul.library() != 'oneDNN'
        assert (onednn_matmul.library() == 'oneDNN') is onednn_matmul.works()


def test_all_forms_but_the_draws_are_left_out_and_come_back():
    before = {name: switch.on for name, switch in SWITCHES.items()}
    with pytest.raises(ZeroDivisionError), officially():
        assert [name for name, switch in SWITCHES.items() if switch.on] == ['short_draws']
        1 / 0  # noqa: B018
    assert {name: switch.on for name, switch in SWITCHES.items()} == before


def test_scores_of_attention_are_in_memory():
    q = torch.randn(1, 2, 64, 8, requires_grad=True)
    nodes = []
    for context in (contextlib.nullcontext(), officially([SCORES])):
        with context:
            out = torch.nn.functional.scaled_dot_product_attention(q, q, q)
        nodes.append(type(out.grad_fn).__name__)
    assert 'Flash' in nodes[0]
    assert 'Flash' not in nodes[1]


def test_is_a_switch_of_the_benchmark(tmp_path):
    config = mask2former_file(tmp_path)
    plain, official = make_targets(
        config, ['official=True'], Work(size=(64, 64)), cfg_options={}
    ).values()
    assert (plain.plain, official.plain) == (True, False)
    assert official.optim_wrapper.optimizer.defaults['foreach'] is False
    assert not official.optim_wrapper.optimizer.defaults['fused']
    assert plain.optim_wrapper.optimizer.defaults['fused']
    assert official.model.test_cfg.batch_windows == 1


def test_ours_is_ours_beside_it(tmp_path, monkeypatch):
    made = {}

    def look(*args, **kwargs):
        made.update(make_targets(*args, **kwargs))
        return made

    monkeypatch.setattr(run, 'make_targets', look)
    monkeypatch.setattr(run, 'Product', partial(Product, side=64))
    config = mask2former_file(tmp_path)
    options = dict(compare_with=['official=True'], size=(64, 64), repeats=1, profile=False)
    benchmark_speed(config, device='cpu', **options)
    assert [target.work.official for target in made.values()] == [False, True]


def test_what_is_not_official_is_refused(tmp_path):
    options = {'model.decode_head.loss.leave_out_ignored': True}
    cases = mask2former_file(tmp_path), ['official=True']
    with pytest.raises(UserError, match='leave_out_ignored=True: compare with'):
        make_targets(*cases, Work(size=(64, 64)), cfg_options=options)
    predict = Work('predict', size=(64, 64))
    assert len(make_targets(*cases, predict, cfg_options=options)) == 2  # it has no losses
