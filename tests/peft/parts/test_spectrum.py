"""Singular components of pretrained weights, computed again where an adapter is loaded."""

import pytest
import torch

from rein_seg.peft.parts.spectrum import decompose
from tests.peft.build import backbone, image, move


@pytest.mark.parametrize('shape', [(7, 5), (5, 7), (6, 2, 3, 3)])
def test_decomposition_is_the_weight_with_fixed_signs(shape):
    weight = torch.randn(shape)
    left, values, right = decompose(weight)
    assert left.dtype == torch.float64
    torch.testing.assert_close((left * values @ right).float(), weight.flatten(1))
    assert torch.equal(values, values.sort(descending=True).values)
    assert (right.gather(1, right.abs().argmax(1, keepdim=True)) > 0).all()
    torch.testing.assert_close(values.float(), torch.linalg.svdvals(weight.flatten(1)))


def test_sizes_of_large_encoders_need_no_decomposition():
    """On the meta device: as in counting parameters."""
    with torch.device('meta'):
        assert decompose(torch.empty(64, 32, 3, 3))[2].shape == (64, 288)


def elsewhere(weight):
    """Decomposes as another machine might: other signs, other last digits."""
    left, values, right = decompose(weight)
    signs = torch.where(torch.rand(len(values)) < 0.5, -1.0, 1.0).double()
    noise = 1e-12 * torch.randn(len(values)).double()
    return left * signs, values + noise, right * signs[:, None] + noise[:, None]


@pytest.mark.parametrize('method', ['SoMA', 'SVF', 'KaSA'])
def test_a_file_computes_the_same_on_a_machine_with_another_svd(method, monkeypatch):
    model = move(backbone(type=method)).eval()
    user = 'methods.svf' if method == 'SVF' else 'parts.spectrum'
    monkeypatch.setattr(f'rein_seg.peft.{user}.decompose', elsewhere)
    other = backbone(type=method).eval()
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(
        other(image()).maps[-1], model(image()).maps[-1], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ('method', 'names'),
    [
        ('SoMA', {'lora_A', 'lora_B', 'bias'}),
        ('SVF', {'delta'}),
        ('KaSA', {'lora_A', 'lora_B', 'lora_diag'}),
    ],
)
def test_trained_tensors_alone_are_saved(method, names):
    saved = backbone(type=method).state_dict()
    assert {name.rsplit('.', 1)[-1] for name in saved} == names
