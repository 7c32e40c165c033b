"""PEGO alone."""

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.structures import OpSite
from tests.peft.build import backbone, image, move


def naive(model, groups, rank):
    """The loss by its formula, one matrix at a time."""
    total = 0.0
    for site in model.anatomy.find(OpSite, role='qkv'):
        layer = model.peft.layers[site.name.replace('.', '_')]
        for part, start in enumerate((0, 64)):  # q and v of 32 channels
            weight = site.module.weight[start : start + 32]
            each = []
            for i in range(groups):
                a = layer.lora_A[(part * groups + i) * rank :][:rank]
                b = layer.lora_B[part * 32 :][:32, i * rank : (i + 1) * rank]
                each.append(b @ a)
            total += sum((weight @ update.T).abs().sum() for update in each)
            for i in range(groups):
                total += sum((each[i] @ other.T).abs().sum() for other in each[i + 1 :])
    return total


def test_loss_is_the_formula_scaled_by_width():
    model = move(backbone(type='PEGO', rank=2, groups=3, reference_width=None))
    expected = 1e-3 * naive(model, 3, 2)
    torch.testing.assert_close(model.peft.aux_losses()['loss_orthogonal'], expected)
    scaled = move(backbone(type='PEGO', rank=2, groups=3))
    torch.testing.assert_close(
        scaled.peft.aux_losses()['loss_orthogonal'], (768 / 32) ** 2 * expected
    )


def test_loss_is_zero_at_the_start_and_the_same_under_autocast():
    assert backbone(type='PEGO').peft.aux_losses()['loss_orthogonal'] == 0
    model = move(backbone(type='PEGO'))
    exact = model.peft.aux_losses()['loss_orthogonal']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(model.peft.aux_losses()['loss_orthogonal'], exact)


def test_updates_have_no_scale_and_a_single_one_no_pairs():
    model = move(backbone(type='PEGO', groups=1))
    assert torch.isfinite(model.peft.aux_losses()['loss_orthogonal'])
    model(image()).maps[-1].sum().backward()
    with pytest.raises(UserError, match='groups=0: expected a whole number'):
        backbone(type='PEGO', groups=0)
