"""oneDNN's matrix products against PyTorch's own; when they are taken, and that they go again."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rein_seg.errors import UserError
from rein_seg.fast import onednn_matmul
from rein_seg.pretrain import run as pretrain

there = pytest.mark.skipif(not onednn_matmul.works(), reason='PyTorch without oneDNN')


@pytest.fixture(autouse=True)
def _as_it_was():
    """Whatever a test switches on or off."""
    with onednn_matmul.onednn(False):
        yield


@pytest.fixture
def onednn(monkeypatch):
    """Uses it, for small products too; yields a list of what it was asked for."""
    asked = []
    fits = onednn_matmul._fits

    def note(a, b):
        asked.append(fits(a, b))
        return asked[-1]

    monkeypatch.setattr(onednn_matmul, '_fits', note)
    monkeypatch.setattr(onednn_matmul, '_FEWEST', 2**20)
    with onednn_matmul.onednn(True):
        yield asked


def own(function, *args, **kwargs):
    """What PyTorch's own library gives."""
    with onednn_matmul.onednn(False):
        return function(*args, **kwargs)


def linear_with_gradients(bias=True):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 65, 96, generator=generator, requires_grad=True)
    weight = torch.randn(192, 96, generator=generator, requires_grad=True)
    shift = torch.randn(192, generator=generator, requires_grad=True)
    leaves = (x, weight, shift) if bias else (x, weight)
    out = F.linear(*leaves)
    slope = torch.randn(out.shape, generator=generator)
    return out, *torch.autograd.grad(out, leaves, slope)


@there
@pytest.mark.parametrize('bias', [True, False])
def test_a_linear_and_its_gradients_are_the_same(onednn, bias):
    expected = own(linear_with_gradients, bias)
    assert not onednn
    found = linear_with_gradients(bias)
    assert onednn.count(True) == 2  # forward, and the gradient of the input
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


@there
@pytest.mark.parametrize(
    ('a', 'b', 'taken'),
    [
        (torch.randn(128, 256), torch.randn(256, 128), True),
        (torch.randn(128, 256), torch.randn(128, 256).T, True),
        (torch.randn(256, 128).T, torch.randn(256, 128), False),  # a gradient of weights
        (torch.randn(128, 256), torch.randn(256, 256)[:, :128], False),  # gaps between its rows
        (torch.randn(128, 300)[:, :256], torch.randn(256, 128), False),
        (torch.randn(8, 2**12), torch.randn(2**12, 128), False),  # narrow
        (torch.randn(64, 64), torch.randn(64, 64), False),  # small
        (torch.randn(128, 256).double(), torch.randn(256, 128).double(), False),
        (torch.randn(128, 256).bfloat16(), torch.randn(256, 128).bfloat16(), False),
        (torch.ones(3, 2, dtype=torch.long), torch.ones(2, 0, dtype=torch.long), False),
    ],
)
def test_products_of_every_kind_are_the_same(onednn, a, b, taken):
    expected, found = own(torch.mm, a, b), a @ b
    assert onednn == [taken]
    form = (expected.dtype, expected.shape, expected.stride())
    assert (found.dtype, found.shape, found.stride()) == form
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    assert torch.equal(found, a @ b if taken else expected)  # twice the same; else the very same


@there
@pytest.mark.parametrize(
    ('c', 'options', 'taken'),
    [
        (torch.randn(128), {}, True),
        (torch.randn(256, 128), {}, False),
        (torch.randn(1), {}, False),
        (torch.randn(256)[::2], {}, False),
        (torch.randn(1).expand(128), {}, False),
        (torch.randn(128), dict(beta=0.5), False),
        (torch.randn(128), dict(alpha=2), False),
    ],
)
def test_sums_with_a_product_are_the_same(onednn, c, options, taken):
    a, b = torch.randn(256, 192), torch.randn(192, 128)
    found = torch.addmm(c, a, b, **options)
    assert onednn == ([True] if taken else [])
    expected = own(torch.addmm, c, a, b, **options)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


@there
def test_errors_are_pytorchs(onednn):
    with pytest.raises(RuntimeError, match='cannot be multiplied'):
        torch.randn(128, 256) @ torch.randn(255, 128)
    with pytest.raises(RuntimeError, match='must be a matrix|2D tensor|matrices expected'):
        torch.mm(torch.randn(256), torch.randn(256, 128))


@there
def test_without_gradients_autocast_and_traced_it_gives_the_same(onednn):
    linear, x = nn.Linear(256, 128), torch.randn(128, 256)
    expected = linear(x)
    with torch.inference_mode():
        assert torch.equal(linear(x), expected)
    assert onednn == [True, True]
    with torch.autocast('cpu', torch.bfloat16):
        assert linear(x).dtype == torch.bfloat16
    torch._dynamo.reset()
    compiled = torch.compile(linear, backend='aot_eager')
    torch.testing.assert_close(compiled(x), expected, rtol=1e-5, atol=1e-5)


@there
def test_own_products_come_back_and_go_again(onednn):
    assert onednn_matmul.library() == 'oneDNN'
    a = torch.randn(128, 128)
    with pytest.raises(ZeroDivisionError), onednn_matmul.onednn(False):
        assert onednn_matmul.library() != 'oneDNN'
        a @ a
        assert not onednn
        1 / 0  # noqa: B018
    assert onednn_matmul.library() == 'oneDNN'
    with onednn_matmul.onednn(True):  # twice is once
        a @ a
    assert onednn == [True]
    torch.mm(a, a, out=torch.empty(128, 128))  # which speed/floor.py takes for PyTorch's own rate
    assert onednn == [True]


@there
@pytest.mark.parametrize(
    ('cpuinfo', 'capability', 'used'),
    [
        ('processor\t: 0\nvendor_id\t: AuthenticAMD\n', 'AVX512', True),
        ('processor\t: 0\nvendor_id\t: AuthenticAMD\n', 'AVX2', False),
        ('processor\t: 0\nvendor_id\t: GenuineIntel\n', 'AVX512', False),
        (None, 'AVX512', False),
    ],
)
def test_is_taken_on_processors_where_it_pays(monkeypatch, tmp_path, cpuinfo, capability, used):
    file = tmp_path / 'cpuinfo'
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    monkeypatch.setattr(onednn_matmul, '_CPUINFO', file)
    monkeypatch.setattr(onednn_matmul.platform, 'processor', lambda: 'arm')
    monkeypatch.setattr(torch.backends.mkl, 'is_available', lambda: True)
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: capability)
    assert onednn_matmul.use_onednn() is used
    assert onednn_matmul.use_onednn(always=True)


def test_another_operation_than_the_known_one_is_not_taken(monkeypatch):
    onednn_matmul.works.cache_clear()
    monkeypatch.setattr(onednn_matmul, '_multiply', lambda a, b, c: a @ b)  # without the bias
    assert not onednn_matmul.works()
    onednn_matmul.works.cache_clear()


@there
def test_pretraining_keeps_pytorchs_own(onednn, monkeypatch, tmp_path):
    """The weights in the package were made so."""

    def look(*args, **kwargs):
        raise KeyError(onednn_matmul.library())

    monkeypatch.setattr(pretrain, 'run_training', look)
    with pytest.raises(KeyError) as raised:
        pretrain.pretrain(tmp_path, budget='smoke', device='cpu')
    assert raised.value.args != ('oneDNN',)
    assert onednn_matmul.library() == 'oneDNN'


def test_a_pytorch_without_onednn_is_named(monkeypatch):
    monkeypatch.setattr(onednn_matmul, 'works', lambda: False)
    with pytest.raises(UserError, match='cannot multiply with oneDNN: leave it out'):
        onednn_matmul.use_onednn(always=True)
