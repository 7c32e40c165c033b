"""RepAdapter: the operation of an adapted input, without applying its weight twice."""

import pytest
import torch
from mmseg.registry import MODELS
from torch.nn import functional as F

from rein_seg.errors import UserError
from tests.encoders.tiny import ENCODERS


def build(family='vit', **options):
    torch.manual_seed(0)
    peft = dict(type='RepAdapter', hidden_dims=4, **options)
    backbone = MODELS.build(dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft)).eval()
    with torch.no_grad():
        for _, parameter in backbone.peft.trainable_parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return backbone


def test_an_operation_gets_the_adapted_input():
    backbone = build(scale=0.5)
    layer, op = backbone.peft.layers['layers_0_attn_qkv'], backbone.encoder.layers[0].attn.qkv
    seen = []
    op.register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    with torch.no_grad():
        backbone(torch.randn(1, 3, 32, 48))
    x, out = seen[0]
    up = torch.block_diag(*layer.up.chunk(2))  # (in, r)
    adapted = x + 0.5 * F.linear(F.linear(x, layer.down), up)
    torch.testing.assert_close(out, F.linear(adapted, op.weight, op.bias))


def test_some_parts_of_a_fused_operation():
    backbone = build(targets=['q', 'v'])
    op = backbone.encoder.layers[0].attn.qkv
    before = op.weight.clone()
    backbone.merge()
    changed = (op.weight != before).view(3, -1).any(1)
    assert changed.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ('family', 'options', 'message'),
    [
        ('vit', dict(groups=3), 'hidden_dims=4 is no multiple of groups=3'),
        ('vit', dict(groups=0), 'groups=0: expected a whole number, at least 1'),
        ('resnet', dict(targets=['conv2']), 'takes linears and dense 1x1 convolutions'),
        ('resnet', dict(targets=['fc9']), "has no \\['fc9'\\]"),
    ],
)
def test_wrong_arguments(family, options, message):
    with pytest.raises(UserError, match=message):
        build(family, **options)
