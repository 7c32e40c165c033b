"""SoMA alone: its start, blocks, biases and recipe."""

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from rein_seg.apis import load_config
from rein_seg.errors import UserError
from rein_seg.structures import OpSite
from tests.paths import REPO
from tests.peft.build import backbone


def layers(model, role='qkv'):
    sites = model.anatomy.find(OpSite, role=role)
    pairs = [(s.module, model.peft.layers, s.name.replace('.', '_')) for s in sites]
    return [(op, layers[key]) for op, layers, key in pairs if key in layers]


@pytest.mark.parametrize('components', ['minor', 'principal'])
def test_starts_from_singular_components_of_the_loaded_weights(components):
    model = backbone(type='SoMA', rank=4, alpha=8, components=components)
    for op, layer in layers(model):
        for part in range(3):
            weight = op.weight[part * 32 :][:32]
            u, s, v = torch.linalg.svd(weight)
            kept = slice(-4, None) if components == 'minor' else slice(4)
            expected = u[:, kept] * s[kept] @ v[kept]
            product = layer.scaling * layer.product()[part * 32 :][:32]
            torch.testing.assert_close(product, expected, rtol=1e-4, atol=1e-5)


def test_leaves_the_first_third_alone_unless_told_otherwise():
    blocks = [name.split('_')[1] for name in backbone(type='SoMA').peft.layers]
    assert set(blocks) == {'1', '2'}
    model = backbone(type='SoMA', blocks=[0, -1])
    assert {name.split('_')[1] for name in model.peft.layers} == {'0', '2'}


def test_biases_start_as_the_pretrained_ones_and_train():
    model = backbone(type='SoMA', targets=['q', 'v'])
    (op, layer), *_ = layers(model)
    torch.testing.assert_close(layer.bias, torch.cat((op.bias[:32], op.bias[64:])))
    layer.bias.data += 1
    shift = layer.bias_change(op)
    assert torch.equal(shift != 0, torch.tensor([True, False, True]).repeat_interleave(32))
    without = backbone(type='SoMA', train_bias=False).peft
    assert all(layer.bias is None for layer in without.layers.values())


def test_random_start_is_the_official_order():
    model = backbone(type='SoMA', random_start=True)
    for op, layer in layers(model):
        assert layer.start_A is None
        weight = op.weight.clone()
        torch.testing.assert_close(layer.change(), layer.scaling * layer.product())
        assert torch.equal(op.weight, weight)
        assert 0 < layer.change().norm() < 0.2 * weight.norm()
    assert not model.peft.exact_at_start


@pytest.mark.parametrize(
    ('family', 'options', 'message'),
    [
        ('vit', dict(type='SoMA', rank=64), 'rank=64: .*qkv.* has 32 singular components'),
        (
            'vit',
            dict(type='SoMA', components='all'),
            "components='all': expected minor or",
        ),
        ('convnext', dict(type='SoMA', targets=['dw']), 'SoMA cannot update the grouped'),
    ],
)
def test_what_cannot_work_is_refused(family, options, message):
    with pytest.raises(UserError, match=message):
        backbone(family, **options)


@pytest.mark.filterwarnings('ignore:Detected call of')  # no step is taken
def test_recipe_of_soma_anneals_the_weight_decay_of_what_decays():
    cfg = load_config(str(REPO / 'configs' / 'soma_dinov2_gtav.py'))
    lr, decay = cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.optimizer.weight_decay
    params = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [dict(params=params[:1], weight_decay=decay), dict(params=params[1:], weight_decay=0)]
    optimizer = torch.optim.AdamW(groups, lr=lr)
    schedule = PARAM_SCHEDULERS.build({**cfg.param_scheduler[1], 'optimizer': optimizer})
    seen = []
    for _ in range(cfg.max_iters):
        seen.append([group['weight_decay'] for group in optimizer.param_groups])
        schedule.step()
    half = len(seen) // 2
    assert seen[0][0] == 0.05
    assert seen[half][0] == pytest.approx((0.05 + 1e-5) / 2, rel=1e-3)
    assert optimizer.param_groups[0]['weight_decay'] == pytest.approx(1e-5, rel=1e-2)
    assert {other for _, other in seen} == {0}
    words = cfg.optim_wrapper.paramwise_cfg
    assert words.prefix_lr_mult['backbone.'] == 0.5
    assert words.custom_keys['query_embed'].decay_mult == 0.0
