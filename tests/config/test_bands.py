"""The bands of a benchmark reach data sets and encoder; steps made for RGB are refused."""

import pytest
from mmseg.registry import MODELS

from rein_seg.apis import load_config
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError

NAMES = ['red', 'green', 'blue', 'nir', 'height']


def test_every_data_set_and_the_encoder_follow_the_benchmark():
    cfg = load_config('rein_tiny_minibands')
    encoder = cfg.model.backbone.encoder
    assert encoder.bands == dict(names=NAMES, train_input=True)
    assert (len(encoder.mean), len(encoder.std)) == (5, 5)
    datasets = [cfg.train_dataloader.dataset, *cfg.val_dataloader.dataset.datasets]
    assert all(one.bands.names == NAMES for one in datasets) and len(datasets) == 6
    model = MODELS.build(cfg.model)
    assert model.backbone.encoder.patch_embed.projection.in_channels == 5
    assert model.data_preprocessor.names == tuple(NAMES)


def test_rgb_alone_takes_three_of_the_bands_with_their_statistics():
    cfg = load_config('rein_tiny_minibands_rgb')
    encoder, five = cfg.model.backbone.encoder, load_config('rein_tiny_minibands')
    assert encoder.bands.names == ['red', 'green', 'blue']
    assert encoder.mean == five.model.backbone.encoder.mean[:3]
    assert resolve('rein_tiny_minibands').deviations.training == ()
    assert 'bands.use' in resolve('rein_tiny_minibands_rgb').deviations.training[0]


def test_a_resolved_config_resolves_to_itself():
    cfg = resolve('frozen_tiny_minibands').cfg
    assert resolve(cfg).cfg.to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    'options, words',
    [
        (
            {'train_dataloader.dataset.pipeline.3.type': 'FastPhotoMetricDistortion'},
            'made for RGB of 8 bits.*BandDistortion',
        ),
        (
            {'train_dataloader.dataset.pipeline.3': dict(type='Pad', size=(8, 8))},
            'step Pad of its pipeline is made for RGB of 8 bits.*leave it out',
        ),
        ({'benchmark.bands.mean': [1, 2]}, 'mean has 2 numbers for 5 bands'),
        ({'benchmark.bands.std': [1, 1, 1, 0, 1]}, 'each above 0'),
        ({'benchmark.bands.mean': None, 'benchmark.bands.std': None}, '--statistics'),
        ({'benchmark.bands.use': ['red', 'nri']}, "did you mean 'nir'"),
        ({'model.backbone.encoder.bands.first_layer': 'mean'}, 'first_layer'),
    ],
)
def test_a_mistake_ends_before_anything_is_built(options, words):
    with pytest.raises(UserError, match=words) as error:
        load_config('frozen_tiny_minibands', cfg_options=options)
    assert '\n' not in str(error.value)


def test_bands_of_data_alone_and_of_an_encoder_alone_are_refused():
    bands = dict(names=['a', 'b'])
    with pytest.raises(UserError, match='gives 2 bands .a, b., and the encoder takes RGB'):
        load_config('frozen_tiny_miniscapes', cfg_options={'train_dataloader.dataset.bands': bands})
    with pytest.raises(UserError, match='gives RGB, and the encoder takes 2 bands'):
        load_config('frozen_tiny_miniscapes', cfg_options={'model.backbone.encoder.bands': bands})
