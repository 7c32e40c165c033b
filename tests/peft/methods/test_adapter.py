"""adapters at the end of branches alone."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.peft import Adapter
from tests.encoders.tiny import ENCODERS


def backbone(family='vit', **peft):
    peft = dict(type='Adapter', **peft)
    return MODELS.build(dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft))


def test_forms_differ_in_branches_and_sizes():
    houlsby = backbone(hidden_dims=8).peft
    assert list(houlsby.layers) == [f'{b}_{i}' for i in range(3) for b in ('attn', 'ffn')]
    assert sum(p.numel() for p in houlsby.parameters()) == 3 * 2 * (2 * 32 * 8 + 8 + 32)
    assert backbone().peft.layers['attn_0'].down.out_features == 64
    pfeiffer = backbone(form='pfeiffer').peft
    assert list(pfeiffer.layers) == ['ffn_0', 'ffn_1', 'ffn_2']
    assert pfeiffer.layers['ffn_0'].down.out_features == 32 // 8


@pytest.mark.parametrize(
    ('family', 'branches'), [('convnext', {'ffn'}), ('resnet', {'conv'}), ('swin', {'attn', 'ffn'})]
)
def test_it_takes_the_branches_that_an_encoder_has(family, branches):
    assert {key.split('_')[0] for key in backbone(family).peft.layers} == branches


def test_the_pfeiffer_form_can_leave_its_start():
    """From two matrices of zeros, only the last bias would ever move."""
    model = backbone(form='pfeiffer')
    model(torch.randn(1, 3, 32, 32)).maps[-1].square().sum().backward()
    assert all(p.grad.any() for p in model.peft.parameters())


def test_side_of_layer_scale():
    """LayerScale is 0.5: what is added before it counts half of what is added after it."""
    image = torch.randn(1, 3, 32, 32)
    plain = backbone('dinov2', blocks=[-1]).eval()
    with torch.no_grad():
        for model in (after := plain, before := backbone('dinov2', blocks=[-1], after_scale=False)):
            for name, param in model.peft.named_parameters():
                param.zero_().add_(1.0 if name == 'layers.ffn_2.up.bias' else 0.0)
        start = MODELS.build(
            dict(type='PEFTBackbone', encoder=ENCODERS['dinov2'], peft=dict(type='Frozen'))
        )(image)
        shifts = [model.eval()(image).maps[-1] - start.maps[-1] for model in (after, before)]
    torch.testing.assert_close(shifts[0], 2 * shifts[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(form='serial'), "form='serial': expected houlsby or pfeiffer"),
        (dict(hidden_dims=-1), 'hidden_dims=-1: expected'),
        (dict(act='selu'), "act='selu': expected relu or gelu or gelu_tanh or none or None"),
    ],
)
def test_arguments_are_checked(change, message):
    with pytest.raises(UserError, match=message):
        Adapter(**change)
