"""oneDNN's matrix products against PyTorch's own; when they are taken, and that they go again."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rein_seg import products
from rein_seg.errors import UserError
from tests.apis.tiny_run import REPO

there = pytest.mark.skipif(not products._is_there(), reason='PyTorch without oneDNN')


@pytest.fixture
def onednn(monkeypatch):
    """Uses it for one test, whatever the processor; yields a list of what it was asked for."""
    monkeypatch.setenv(products.VARIABLE, 'onednn')
    asked = []
    fits = products._fits

    def note(a, b):
        asked.append(fits(a, b))
        return asked[-1]

    monkeypatch.setattr(products, '_fits', note)
    assert products.use_onednn()
    yield asked
    products._registered.clear()


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
    with products.pytorchs_own():
        expected = linear_with_gradients(bias)
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
    with products.pytorchs_own():
        expected = a @ b
    found = a @ b
    assert onednn == [taken]
    assert (found.dtype, found.shape, found.stride()) == (
        expected.dtype,
        expected.shape,
        expected.stride(),
    )
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    assert torch.equal(found, a @ b if taken else expected)  # twice the same; else the very same


@there
@pytest.mark.parametrize(
    ('shape', 'options'),
    [((128,), {}), ((256, 128), {}), ((1,), {}), ((128,), dict(beta=0.5)), ((128,), dict(alpha=2))],
)
def test_sums_with_a_product_are_the_same(onednn, shape, options):
    c, a, b = torch.randn(shape), torch.randn(256, 192), torch.randn(192, 128)
    with products.pytorchs_own():
        expected = torch.addmm(c, a, b, **options)
    torch.testing.assert_close(torch.addmm(c, a, b, **options), expected, rtol=1e-5, atol=1e-4)
    assert onednn == ([True] if shape == (128,) and not options else [])


@there
def test_errors_are_pytorchs(onednn):
    with pytest.raises(RuntimeError, match='cannot be multiplied'):
        torch.randn(128, 256) @ torch.randn(255, 128)
    with pytest.raises(RuntimeError, match='must be a matrix|2D tensor|matrices expected'):
        torch.mm(torch.randn(256), torch.randn(256, 128))


@there
def test_without_gradients_autocast_and_compiled_it_gives_the_same(onednn):
    linear, x = nn.Linear(256, 128), torch.randn(128, 256)
    expected = linear(x)
    with torch.inference_mode():
        assert torch.equal(linear(x), expected)
    with torch.autocast('cpu', torch.bfloat16):
        assert linear(x).dtype == torch.bfloat16
    torch._dynamo.reset()
    compiled = torch.compile(linear, backend='aot_eager')
    torch.testing.assert_close(compiled(x), expected, rtol=1e-5, atol=1e-5)


@there
def test_own_products_come_back_and_go_again(onednn):
    assert products.library() == 'oneDNN'
    a = torch.randn(128, 128)
    with pytest.raises(ZeroDivisionError), products.pytorchs_own():
        assert products.library() != 'oneDNN'
        a @ a
        assert not onednn
        1 / 0  # noqa: B018
    assert products.library() == 'oneDNN'
    assert products.use_onednn()  # twice is once
    a @ a
    assert onednn == [True]
    products._registered.clear()
    a @ a
    assert onednn == [True]


@there
@pytest.mark.parametrize(
    ('cpuinfo', 'used'),
    [
        ('processor\t: 0\nvendor_id\t: AuthenticAMD\n', True),
        ('processor\t: 0\nvendor_id\t: GenuineIntel\n', False),
        (None, False),
    ],
)
def test_is_taken_on_processors_where_it_pays(monkeypatch, tmp_path, cpuinfo, used):
    file = tmp_path / 'cpuinfo'
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    monkeypatch.delenv(products.VARIABLE, raising=False)
    monkeypatch.setattr(products, '_CPUINFO', file)
    monkeypatch.setattr(products.platform, 'processor', lambda: 'arm')
    monkeypatch.setattr(torch.backends.mkl, 'is_available', lambda: True)
    assert products.use_onednn() is used
    products._registered.clear()
    monkeypatch.setenv(products.VARIABLE, 'pytorch')
    assert not products.use_onednn()


def test_a_wrong_wish_is_refused(monkeypatch):
    monkeypatch.setenv(products.VARIABLE, 'mkl')
    with pytest.raises(UserError, match="REIN_SEG_PRODUCTS='mkl': expected pytorch or onednn"):
        products.use_onednn()
    monkeypatch.setenv(products.VARIABLE, 'onednn')
    monkeypatch.setattr(products, '_is_there', lambda: False)
    with pytest.raises(UserError, match='built without oneDNN; unset it'):
        products.use_onednn()


def test_the_tools_say_what_is_wrong_with_it():
    done = subprocess.run(
        [sys.executable, 'tools/count_parameters.py', 'configs/rein_tiny_miniscapes.py'],
        cwd=REPO,
        env={**os.environ, products.VARIABLE: 'mkl'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith('error: REIN_SEG_PRODUCTS')
