"""Pro-tuning alone."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.peft import ProTuning
from rein_seg.peft.methods.pro_tuning import PromptBlock
from rein_seg.peft.parts.stages import stage_starts
from rein_seg.structures import Anatomy
from tests.encoders.tiny import ENCODERS


def backbone(family='vit', **peft):
    peft = dict(type='ProTuning', **peft)
    return MODELS.build(dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft))


@pytest.mark.parametrize('channels', [64, 1024])
def test_size_of_a_block(channels):
    """The parameters of the four convolutions and the gate, and beta."""
    with torch.device('meta'):
        block = PromptBlock(channels, kernel_size=5, groups=4, gate_reduction=16, act='none')
    c = channels
    expected = 2 * (c * c // 4 + c) + 26 * c + c * c + c + 2 * c * c // 16 + c // 16 + c + 1
    assert sum(p.numel() for p in block.parameters()) == expected


def test_size_on_dinov2_large():
    with torch.device('meta'):
        block = PromptBlock(1024, kernel_size=5, groups=4, gate_reduction=16, act='none')
    assert 4 * sum(p.numel() for p in block.parameters()) == 6_938_884


class OneSite:
    """The context of a map of convolutions."""

    to_grid = staticmethod(lambda x: x)
    from_grid = staticmethod(lambda grid, x: grid)


@torch.no_grad()
def test_a_pixel_acts_within_the_kernel_and_through_the_gate():
    torch.manual_seed(0)
    block = PromptBlock(8, kernel_size=5, groups=2, gate_reduction=1, act='gelu')
    for parameter in block.parameters():
        parameter.normal_(std=0.5)
    block.beta.fill_(1.0)
    x = torch.randn(1, 8, 9, 11)
    changed = x.clone()
    changed[:, :, 4, 5] += 1
    before, after = block(x, OneSite), block(changed, OneSite)
    # elsewhere nothing but the factor of each channel is another
    gate = block.gate(block.mix(changed).mean((2, 3)))[:, :, None, None]
    expected = block.out(block.mix(x) * gate)
    inside = torch.zeros(9, 11, dtype=torch.bool)
    inside[2:7, 3:8] = True  # 5 x 5
    torch.testing.assert_close(after[..., ~inside], expected[..., ~inside], rtol=1e-4, atol=1e-4)
    assert ((after - before).abs().amax(1) > 1e-4).all()  # through the gate
    assert ((after - expected).abs().amax(1)[0][inside] > 1e-3).all()


def test_prompts_vary_in_space_and_the_gate_counts():
    block = PromptBlock(8, kernel_size=3, groups=2, gate_reduction=2, act='none').eval()
    grid = torch.randn(1, 8, 5, 4)
    mixed = block.mix(grid)
    torch.testing.assert_close(mixed, block.mix[4](block.mix[2](block.mix[0](grid))))
    assert block.out(mixed * block.gate(mixed.mean((2, 3)))[:, :, None, None]).std((2, 3)).min() > 0


def staged(*depths):
    return Anatomy('toy', (), 0, 16, (), (), depths, (8,) * len(depths))


def test_stages_of_plain_and_staged_encoders():
    assert stage_starts(staged(24), 4) == [0, 6, 12, 18]
    # so that groups end with the global attention of SAM's ViT-H
    assert stage_starts(staged(32), 4) == [0, 8, 16, 24]
    assert stage_starts(staged(3), 4) == [0, 1, 2]
    assert stage_starts(staged(2, 2, 18, 2), 7) == [0, 2, 4, 22]


@pytest.mark.parametrize(
    ('family', 'keys', 'widths'),
    [
        ('vit', ['in_0', 'in_1'], [32, 32]),
        ('swin', ['in_0', 'in_2'], [16, 32]),
        ('resnet', ['in_0', 'in_2'], [8, 8]),  # the second still gets the first one's width
    ],
)
def test_one_block_in_front_of_each_stage(family, keys, widths):
    layers = backbone(family, num_stages=2).peft.layers
    assert list(layers) == keys
    assert [layer.out.in_channels for layer in layers.values()] == widths


def test_the_map_of_the_stage_before_stays():
    model, image = backbone(num_stages=2).eval(), torch.randn(1, 3, 32, 32)
    before = model(image).maps
    model.peft.layers['in_1'].beta.data.fill_(1.0)
    after = model(image).maps
    assert torch.equal(before[0], after[0])
    assert (before[1] - after[1]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(kernel_size=2), 'kernel_size=2: expected a whole number, at least 1, odd'),
        (dict(groups=0), 'groups=0'),
        (dict(act='tanh'), "act='tanh'"),
    ],
)
def test_arguments_are_checked(change, message):
    with pytest.raises(UserError, match=message):
        ProTuning(**change)


def test_groups_must_divide_the_width():
    with pytest.raises(UserError, match='groups=5: expected a divisor of the 32 channels'):
        backbone(groups=5)
