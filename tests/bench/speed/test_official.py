"""The official forms: each gives what ours gives, of one step."""

from functools import partial

import pytest
import torch

from rein_seg.apis import load_config
from rein_seg.bench.speed import benchmark_speed, run
from rein_seg.bench.speed.benchmark_target import Subject, Work, make_subjects
from rein_seg.bench.speed.floor import Product
from rein_seg.bench.speed.official import OFFICIAL, officially
from rein_seg.errors import UserError
from rein_seg.fast import onednn_matmul as products
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
    subject = Subject(load_config(config, cfg_options=options), work)
    torch.manual_seed(0)
    with officially(names, model=subject.model):
        done = subject.step()
    if mode == 'train':
        return torch.stack([value for name, value in done.items() if 'loss_' in name])
    return done[0].seg_logits.data


@pytest.fixture(scope='module')
def _onednn():
    """oneDNN's products, of any size."""
    with pytest.MonkeyPatch.context() as patch, products.onednn(products.works()):
        patch.setattr(products, '_FEWEST', 0)
        patch.setattr(products, '_NARROWEST', 1)
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


def test_products_are_pytorchs_own():
    with products.onednn(products.works()):
        with officially():
            assert products.library() != 'oneDNN'
        assert (products.library() == 'oneDNN') is products.works()


def test_nothing_stays_behind():
    before = [[getattr(owner, name) for owner, name, _ in each] for each in OFFICIAL.values()]
    with pytest.raises(ZeroDivisionError), officially():
        1 / 0  # noqa: B018
    after = [[getattr(owner, name) for owner, name, _ in each] for each in OFFICIAL.values()]
    assert before == after


def test_is_a_switch_of_the_benchmark(tmp_path):
    config = mask2former_file(tmp_path)
    plain, official = make_subjects(
        config, ['official=True'], Work(size=(64, 64)), cfg_options={}
    ).values()
    assert (plain.plain, official.plain) == (True, False)
    assert official.optim_wrapper.optimizer.defaults['foreach'] is False
    assert not official.optim_wrapper.optimizer.defaults['fused']
    assert plain.optim_wrapper.optimizer.defaults['fused']
    assert official.model.test_cfg.batch_windows == 1
    used = []
    with officially(model=official.model):
        used += [m.scaled_dot_product_attention.__name__ for m in attentions(official.model)]
    used += [m.scaled_dot_product_attention.__name__ for m in attentions(official.model)]
    number = len(attentions(official.model))
    assert used == ['attend'] * number + ['scaled_dot_product_attention'] * number


def test_ours_is_ours_beside_it(tmp_path, monkeypatch):
    made = {}

    def look(*args, **kwargs):
        made.update(make_subjects(*args, **kwargs))
        return made

    monkeypatch.setattr(run, 'make_subjects', look)
    monkeypatch.setattr(run, 'Product', partial(Product, side=64))
    config = mask2former_file(tmp_path)
    options = dict(compare_with=['official=True'], size=(64, 64), repeats=1, profile=False)
    benchmark_speed(config, device='cpu', **options)
    assert [subject.work.official for subject in made.values()] == [False, True]


def test_what_is_not_official_is_refused(tmp_path):
    options = {'model.decode_head.loss.leave_out_ignored': True}
    cases = mask2former_file(tmp_path), ['official=True']
    with pytest.raises(UserError, match='leave_out_ignored=True: compare with'):
        make_subjects(*cases, Work(size=(64, 64)), cfg_options=options)
    predict = Work('predict', size=(64, 64))
    assert len(make_subjects(*cases, predict, cfg_options=options)) == 2  # it has no losses


def attentions(model):
    return [m for m in model.modules() if hasattr(m, 'scaled_dot_product_attention')]
