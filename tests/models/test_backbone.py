"""Prefix tokens that a backbone keeps: those of the raw sequence, normed where the map is."""

import copy

import pytest
import torch

from rein_seg.models.backbone import PEFTBackbone
from tests.encoders.tiny import ENCODERS, image

PREFIX = {'dinov2_registers': 3, 'vit_tiny': 1, 'vit_setr_mla': 0, 'dinov3': 3, 'eva02': 1}
PREFIX |= {'beit': 1, 'aimv2': 0, 'clip_tower': 1, 'vit': 1}


def build(family, peft=('LoRA',), *, norm=False, **options):
    torch.manual_seed(0)
    encoder = {**ENCODERS[family], **({'final_norm': True} if norm else {})}
    return PEFTBackbone(encoder, [dict(type=name) for name in peft], **options).eval()


def raw_prefix(backbone):
    """Returns the first tokens of each output block, before the backbone's own notes."""
    seen, taps = [], backbone.anatomy.out_taps
    handles = [tap.module.register_forward_hook(lambda m, a, out: seen.append(out)) for tap in taps]
    with torch.no_grad():
        backbone(image())
    for handle in handles:
        handle.remove()
    return [x[:, : backbone.anatomy.num_prefix] for x in seen]


@pytest.mark.parametrize('family', PREFIX)
def test_prefix_of_each_map(family):
    for norm in (False, True) if family != 'vit' else (False,):
        backbone = build(family, norm=norm)
        with torch.no_grad():
            assert backbone(image()).prefix is None
            backbone.keep_prefix()
            features = backbone(image())
        expected = raw_prefix(backbone)
        if norm:
            expected = [backbone.anatomy.final_norm(x) for x in expected]
        assert len(features.prefix) == len(features.maps)
        for x, y in zip(features.prefix, expected, strict=True):
            assert x.shape == (2, PREFIX[family], backbone.out_channels[0])
            torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6)


def test_prefix_has_no_prompts_and_is_kept_by_copies():
    backbone = build('dinov2_registers', ('VPT', 'LoRA'), norm=True)
    backbone.keep_prefix()
    twin = copy.deepcopy(backbone)
    backbone.detach()
    backbone.attach()
    with torch.no_grad():
        found = [each(image()).prefix for each in (backbone, twin)]
    for x, y in zip(*found, strict=True):
        assert x.shape == (2, 3, 16)
        assert torch.equal(x, y)


def test_a_run_of_the_encoder_alone_leaves_no_prefix_behind():
    backbone = build('dinov2_registers', norm=True)
    backbone.keep_prefix()
    with torch.no_grad():
        expected = backbone(image()).prefix
    backbone.encoder(image())[-1].sum().backward()
    copy.deepcopy(backbone)  # cannot copy a part of a graph
    with torch.no_grad():
        found = backbone(image()).prefix
    assert len(found) == len(expected) == 2
    for x, y in zip(found, expected, strict=True):
        assert torch.equal(x, y)


def test_prefix_under_activation_checkpointing_has_the_same_gradients():
    found = []
    for saving in (False, True):
        backbone = build('dinov3', norm=True, activation_checkpointing=saving)
        for name, param in backbone.peft.named_parameters():
            torch.nn.init.normal_(param, generator=torch.Generator().manual_seed(len(name)))
        backbone.keep_prefix()
        prefix = backbone(image()).prefix
        assert len(prefix) == 2
        sum(x.pow(2).sum() for x in prefix).backward()
        found.append([p.grad for p in backbone.parameters() if p.requires_grad])
        assert not backbone._prefix
    for x, y in zip(*found, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)
