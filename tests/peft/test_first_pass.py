"""Tests of methods that see the features of the frozen encoder before their own pass."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from rein_seg.models.backbone import PEFTBackbone
from rein_seg.peft import LoRA, PEFTMethod
from rein_seg.peft.composed import Composed
from rein_seg.structures import Features

TINY = dict(type='TinyViT', init_seed=0)


class Brighter(PEFTMethod):
    """Adds the mean of the first features to the image."""

    looks_first = True

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.seen: list[Features] = []

    def prepare(self, image: Tensor, first: Features) -> Tensor:
        self.seen.append(first)
        return image + self.gain * first.maps[-1].mean((1, 2, 3), keepdim=True)


@pytest.fixture
def backbone() -> PEFTBackbone:
    made = PEFTBackbone(TINY, dict(type='LoRA', rank=2))
    made.peft.detach()
    method = Composed([LoRA(rank=2), Brighter()])
    method.attach(made.encoder, made.anatomy)
    for param in method.parameters():
        nn.init.normal_(param, std=0.5, generator=torch.Generator().manual_seed(0))
    made.peft = method
    return made.eval()


def test_the_first_pass_is_the_frozen_encoder_s(backbone):
    image = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(1))
    found = backbone(image)
    plain = PEFTBackbone(TINY, dict(type='Frozen')).eval()(image).maps[-1]
    assert torch.equal(found.first.maps[-1], plain)
    assert not torch.allclose(found.maps[-1], plain, atol=1e-3)
    assert not found.first.maps[-1].requires_grad


def test_the_pass_proper_sees_the_prepared_image_and_the_other_methods(backbone):
    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = backbone(image)
    moved = backbone.peft.methods[1].prepare(image, found.first)
    assert torch.equal(found.maps[-1], backbone._encode(moved).maps[-1])


def test_gradients_reach_the_method_and_text_arrives(backbone):
    text = torch.randn(3, 8, requires_grad=True)
    found = backbone(torch.randn(1, 3, 32, 32), text, text.detach())
    found.maps[-1].square().mean().backward()
    assert backbone.peft.methods[1].gain.grad.abs() > 0
    seen = backbone.peft.methods[1].seen[-1]
    assert seen.text is text and found.text is text and torch.equal(seen.fixed_text, text)


def test_an_error_in_the_first_pass_leaves_the_hooks_on(backbone, monkeypatch):
    image = torch.randn(1, 3, 32, 32)
    before = backbone(image).maps[-1]
    block = backbone.encoder.layers[2]
    handle = block.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        backbone(image)
    handle.remove()
    assert torch.equal(backbone(image).maps[-1], before)
