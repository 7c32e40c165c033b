"""DoRA alone."""

import torch
import torch.nn.functional as F

from rein_seg.structures import OpSite
from tests.peft.build import backbone, image, move


def first(model, role='qkv'):
    site = model.anatomy.find(OpSite, role=role)[0]
    return site.module, model.peft.layers[site.name.replace('.', '_')]


def test_magnitude_starts_as_the_length_of_the_pretrained_rows():
    op, layer = first(backbone(type='DoRA'))
    lengths = op.weight.norm(dim=1)
    assert torch.equal(layer.magnitude, torch.cat((lengths[:32], lengths[64:])))  # q and v
    op, layer = first(backbone('resnet', type='DoRA', targets=['conv2']), role='conv2')
    torch.testing.assert_close(layer.magnitude, op.weight.flatten(1).norm(dim=1))


def test_dropout_is_the_peft_librarys():
    """W x + b + (m / n - 1) W x' + (m / n) s B A x' with x' the dropped input."""
    model = move(backbone(type='DoRA', targets=['proj'], dropout=0.5, alpha=16))
    op, layer = first(model, role='proj')
    x = torch.randn(1, 5, 32)
    torch.manual_seed(0)
    y = op(x)
    torch.manual_seed(0)
    dropped = F.dropout(x, 0.5)
    whole = op.weight + layer.scaling * layer.lora_B @ layer.lora_A
    ratio = layer.magnitude / whole.norm(dim=1)
    update = layer.scaling * dropped @ (layer.lora_B @ layer.lora_A).T
    expected = F.linear(x, op.weight, op.bias)
    expected = expected + (ratio - 1) * (dropped @ op.weight.T) + ratio * update
    torch.testing.assert_close(y, expected)
    model.eval()
    torch.testing.assert_close(op(x), F.linear(x, ratio[:, None] * whole, op.bias))


def test_autocast_keeps_lengths_in_float32():
    model = move(backbone(type='DoRA')).eval()
    op, layer = first(model)
    exact = layer.ratio(op.weight)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(layer.ratio(op.weight), exact)
        assert op(torch.randn(1, 5, 32)).dtype == torch.bfloat16


def test_magnitude_does_not_decay_and_parts_follow_the_encoder():
    assert backbone(type='DoRA').peft.no_weight_decay == ('magnitude',)
    model = backbone('convnext', type='DoRA')
    assert {name.rsplit('_', 1)[-1] for name in model.peft.layers} == {'conv1', 'conv2'}
    model(image()).maps[-1].sum().backward()
