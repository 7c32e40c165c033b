"""KaSA alone."""

import copy

import pytest
import torch
from torch import nn

from rein_seg.errors import UserError
from rein_seg.peft import KaSA
from tests.golden.toy import Toy
from tests.peft.build import backbone, move


def test_the_smallest_components_of_each_part_are_removed():
    model = backbone(type='KaSA', rank=4)  # B starts at zero
    op = model.encoder.layers[0].attn.qkv
    expected = []
    for part, weight in zip('qkv', op.weight.detach().clone().split(32), strict=True):
        u, s, v = torch.linalg.svd(weight)
        s[-4:] = 0 if part != 'k' else s[-4:]
        expected.append(u * s @ v)
    model.peft.merge()
    torch.testing.assert_close(op.weight, torch.cat(expected), rtol=1e-4, atol=1e-5)


def test_the_loss_is_the_mean_over_the_updates():
    model = move(backbone(type='KaSA', rank=4, beta=0.5, gamma=0.25, blocks=[0]))
    layer, eye = model.peft.layers['layers_0_attn_qkv'], torch.eye(4)
    each = [
        0.5 * d.square().sum()
        + 0.25 * torch.linalg.matrix_norm(b.T @ b - eye)
        + 0.25 * torch.linalg.matrix_norm(a @ a.T - eye)
        for d, a, b in zip(
            layer.lora_diag, layer.lora_A.chunk(2), layer.lora_B.chunk(2), strict=True
        )
    ]
    torch.testing.assert_close(model.peft.aux_losses()['loss_kasa'], sum(each) / 2)


def test_a_rank_above_the_number_of_components_is_refused():
    with pytest.raises(UserError, match='KaSA rank=64: .*qkv.* has 32 singular components'):
        backbone(type='KaSA', rank=64)


@pytest.mark.parametrize('shape', [(6, 10), (10, 6)])
def test_it_equals_the_peft_library(shape):
    peft = pytest.importorskip('peft', reason='the peft package is not installed')
    if not hasattr(peft, 'KasaConfig'):
        pytest.skip(f'peft {peft.__version__} has no KaSA')
    op = nn.Linear(*shape)
    config = peft.LoraConfig(
        r=3,
        lora_alpha=6,
        target_modules=['op'],
        kasa_config=peft.KasaConfig(beta=0.1, gamma=0.2),
    )
    theirs = peft.get_peft_model(nn.ModuleDict({'op': copy.deepcopy(op)}), config)
    toy = Toy({'op': op})
    ours = toy.attach(KaSA(['op'], rank=3, alpha=6, beta=0.1, gamma=0.2))
    layer, tensors = ours.layers['op'], dict(theirs.named_parameters())
    names = {'lora_A': 'lora_A.default.weight', 'lora_B': 'lora_B.default.weight'}
    for name, official in {**names, 'lora_diag': 'lora_diag.default'}.items():
        param = tensors[f'base_model.model.op.{official}']
        nn.init.normal_(param)
        getattr(layer, name).data.copy_(param.reshape(getattr(layer, name).shape))
    x = torch.randn(4, shape[0])
    expected = theirs.base_model.model['op'](x)
    torch.testing.assert_close(toy(x), expected)
    torch.testing.assert_close(ours.aux_losses()['loss_kasa'], theirs._get_kasa_loss())
    ours.merge()
    torch.testing.assert_close(toy(x), expected)
