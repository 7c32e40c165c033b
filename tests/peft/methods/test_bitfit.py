"""BitFit, and to parameters that stand in for frozen ones alone."""

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.structures import ParamSite
from tests.peft.build import backbone, image, move


def count(model):
    return sum(p.numel() for p in model.peft.parameters())


def test_biases_are_eleven_widths_a_block_and_norms_four():
    # qkv 3, proj 1, two norms 2, fc1 2 (a feed-forward twice as wide), fc2 1; and the patch's
    assert count(backbone(type='BitFit')) == 3 * 9 * 32 + 32
    assert count(backbone(type='BitFit', targets=['norm', 'norm_bias'])) == 3 * 4 * 32
    assert count(backbone(type='BitFit', targets=['bias'], blocks=[-1])) == 7 * 32


def test_the_encoder_keeps_its_own_between_passes_and_after_errors():
    model = move(backbone(type='BitFit'))
    own = dict(model.encoder.named_parameters())
    before = {name: param.clone() for name, param in own.items()}
    model(image()).maps[-1].sum().backward()
    with pytest.raises(RuntimeError):
        model.encoder.layers[0].attn.qkv(torch.randn(1, 5, 31))  # of another width
    for name, param in model.encoder.named_parameters():
        assert param is own[name]
        assert torch.equal(param, before[name])
        assert param.grad is None
    assert all(param.grad.any() for param in model.peft.parameters())


def test_the_trained_value_is_what_the_encoder_computes_with():
    model = backbone(type='BitFit').eval()
    plain = backbone(type='Frozen').eval()
    move(model)
    for site in plain.anatomy.find(ParamSite, role=('bias', 'norm_bias')):
        site.param.data.copy_(model.peft.params[site.name.replace('.', '_')].value)
    assert torch.equal(model(image()).maps[-1], plain(image()).maps[-1])


def test_resized_positions_follow_the_trained_ones_and_the_frozen_ones_after_it():
    model = backbone('dinov2_registers', type='BitFit', targets=['pos']).eval()
    plain = backbone('dinov2_registers', type='Frozen').eval()
    larger = image(side=48)
    expected = plain(larger).maps[-1]
    assert torch.equal(model(larger).maps[-1], expected)
    move(model, std=1.0)
    assert not torch.equal(model(larger).maps[-1], expected)
    with torch.no_grad():
        assert not torch.equal(model(larger).maps[-1], expected)
    model.peft.detach()
    assert torch.equal(model.encoder(larger)[-1], expected)


def test_resnet_trains_the_shifts_of_its_batch_norms():
    model = backbone('resnet', type='BitFit').train()
    names = {site.name.rsplit('.', 2)[-2] for site in model.peft.find_sites(model.anatomy)}
    assert all('bn' in name or name.isdigit() for name in names)
    running = model.encoder.layer1[0].bn1.running_mean.clone()
    model(image()).maps[-1].sum().backward()
    assert torch.equal(model.encoder.layer1[0].bn1.running_mean, running)


def test_swins_tables_of_positions_train_only_when_asked_for():
    assert not [n for n in backbone('swin', type='BitFit').peft.params if 'table' in n]
    targets = ['bias', 'norm_bias', 'pos']
    assert [n for n in backbone('swin', type='BitFit', targets=targets).peft.params if 'table' in n]


def test_what_cannot_work_is_refused():
    with pytest.raises(UserError, match=r'targets=\(\): expected a list of names, not empty'):
        backbone(type='BitFit', targets=())
    with pytest.raises(UserError, match='has no ParamSite with role=.*it has: role=bias'):
        backbone(type='BitFit', targets=['biases'])
