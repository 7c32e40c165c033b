"""The first layer of every encoder family takes other bands by timm's rule."""

import pytest
import torch
from timm.models import adapt_input_conv

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.encoders.bands import InputBands, adapt_weight, input_parameters
from rein_seg.errors import UserError
from rein_seg.models.backbone import PEFTBackbone
from tests.encoders.tiny import ENCODERS

NAMES = ['red', 'green', 'blue', 'nir', 'height']
CANNOT = {'resnetv2'}  # its first layer is no site of its anatomy


def with_bands(row, count=5, **said):
    bands = dict(names=NAMES[:count], **said)
    return {**ENCODERS[row], 'mean': [0.0] * count, 'std': [1.0] * count, 'bands': bands}


@pytest.mark.parametrize('count', [1, 2, 3, 4, 5, 7, 12])
def test_repeat_is_the_rule_of_timm(count):
    weight = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(adapt_weight(weight, count), adapt_input_conv(count, weight.clone()))
    average = adapt_weight(weight, count, 'average')
    assert torch.allclose(average.sum(1), weight.sum(1), atol=1e-5)
    assert count == 1 or torch.equal(average[:, 0], average[:, -1])


@pytest.mark.parametrize('row', [row for row in ENCODERS if row not in CANNOT])
def test_a_grey_image_in_five_equal_bands_gives_the_features_of_grey_rgb(row):
    encoder, _ = build_encoder(ENCODERS[row])
    if find_anatomy(encoder).no_maps:
        pytest.skip('gives no maps')
    adapted, info = build_encoder(with_bands(row, first_layer='average'))
    grey = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = encoder(grey.expand(1, 3, 64, 64))
        after = adapted(grey.expand(1, 5, 64, 64))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(before, after, strict=True))
    assert info.identity['bands'] == {'names': NAMES, 'first_layer': 'average'}


@pytest.mark.parametrize('row', sorted(CANNOT))
def test_a_first_layer_that_is_no_site_says_so(row):
    with pytest.raises(UserError, match='first layer .* cannot be adapted'):
        build_encoder(with_bands(row))


@pytest.mark.parametrize('row', ['vit', 'convnext', 'resnet'])
@pytest.mark.parametrize('train_input', [False, True])
def test_the_first_layer_trains_by_a_word_and_is_in_the_state_then(row, train_input):
    cfg = with_bands(row, train_input=train_input)
    backbone = PEFTBackbone(cfg, dict(type='Frozen'))
    parameters = input_parameters(backbone.anatomy, NAMES)
    trained = [p for p in backbone.parameters() if p.requires_grad]
    assert {id(p) for p in trained} == ({id(p) for p in parameters} if train_input else set())
    assert len(backbone.state_dict()) == len(trained)
    maps = backbone(torch.randn(1, 5, 64, 64)).maps
    assert all(x.requires_grad == train_input for x in maps)
    if train_input:
        sum(x.sum() for x in maps).backward()
    assert all(p.grad is not None for p in trained)
    other = PEFTBackbone({**cfg, 'init_seed': 0}, dict(type='Frozen'))
    other.load_state_dict(backbone.state_dict())


def test_an_image_of_other_channels_is_refused_in_words():
    backbone = PEFTBackbone(with_bands('vit'), dict(type='Frozen'))
    with pytest.raises(UserError, match='3 channels reached encoder .* takes 5 bands'):
        backbone(torch.zeros(1, 3, 32, 32))


def test_mean_std_and_words_are_checked():
    with pytest.raises(UserError, match='takes 5 bands .*its mean has 3 numbers'):
        build_encoder({**ENCODERS['vit'], 'bands': dict(names=NAMES)})
    for wrong, words in (
        (dict(first_layer='mean'), 'first_layer'),
        (dict(names=[]), '0 names'),
        (dict(trained=True), "'trained'"),
    ):
        with pytest.raises(UserError, match=words):
            InputBands.of({'names': NAMES, **wrong})


def test_an_encoder_without_bands_has_the_identity_of_before():
    _, info = build_encoder(ENCODERS['vit'])
    assert set(info.identity) == {'weights', 'config', 'mean', 'std'}
