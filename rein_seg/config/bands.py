"""Gives data sets and encoder the bands of the benchmark, and refuses steps made for RGB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from rein_seg.bands import Bands, short_list
from rein_seg.config.config_paths import Parts
from rein_seg.errors import UserError
from rein_seg.models.base import task_of

# steps of pipelines that read colours of 8 bits -> the step to take for bands
_OF_COLOURS = {
    'PhotoMetricDistortion': 'BandDistortion',
    'FastPhotoMetricDistortion': 'BandDistortion',
    'AdjustGamma': 'BandDistortion',
    'CLAHE': 'BandDistortion',
    'LABExchange': None,
    'RGB2Gray': None,
    'Albu': None,
    'Rerange': None,
    'Pad': None,
    'RandomCutOut': None,
    'RandomMosaic': None,
    'BioMedicalGaussianNoise': None,
    'BioMedicalGaussianBlur': None,
    'BioMedicalRandomGamma': None,
}
# further encoders, which read the same images in RGB
_OTHER_READERS = ('regions', 'critic')


def fill_bands(cfg: Config, parts: Parts) -> None:
    """Gives data sets and encoder the bands of the benchmark, in place.

    Data sets read all bands of their files, and the encoder takes ``use`` of them, normalised by
    their mean and std. Bands of its own, a data set or an encoder keeps.

    Args:
        cfg: The config.
        parts: Of it.

    Raises:
        UserError: If bands are described wrongly, have no mean and std, a step of a pipeline is
            made for RGB, or another part of the model reads RGB.
    """
    described = cfg.benchmark.get('bands')
    if not described:
        _check_alone(cfg, parts)
        return
    bands = Bands.of(described)
    assert bands is not None
    if bands.used_mean is None or bands.used_std is None:
        raise UserError(
            f'benchmark.bands has no mean and std of its {short_list(bands.names)}: expected both; '
            'compute and write them with rein-seg check-data FILE --statistics'
        )
    _check_model(cfg.model)
    fill_data_bands(cfg, parts)
    for dataset in (*parts.datasets['train'], *parts.tested):
        _check_steps(dataset)
    encoder = cfg.model.backbone.encoder
    own = dict(encoder.get('bands') or {})
    encoder.bands = {'names': list(bands.use), **own}
    # the encoder's own are of RGB
    encoder.mean, encoder.std = list(bands.used_mean), list(bands.used_std)


def fill_data_bands(cfg: Config, parts: Parts) -> None:
    """Gives data sets the bands of the benchmark, in place; a config may lack a model."""
    benchmark = cfg.get('benchmark')
    described = benchmark.get('bands') if isinstance(benchmark, Mapping) else None
    for dataset in (*parts.datasets['train'], *parts.tested) if described else ():
        dataset.setdefault('bands', dict(described))


def _check_model(model: Any) -> None:
    if task_of(model.get('type')) == 'images':
        raise UserError(
            f'benchmark.bands and model.type={model.type!r}: expected a model of pixels, since '
            'models of whole images read RGB; leave bands out'
        )
    for key in _OTHER_READERS:
        if model.get(key):
            raise UserError(
                f'benchmark.bands and model.{key}: its encoder reads RGB; expected one encoder; '
                f'leave {key} out'
            )


def _check_steps(dataset: Mapping[str, Any]) -> None:
    for step in dataset.get('pipeline') or ():
        name = str(step.get('type')).rpartition('.')[2]
        if name in _OF_COLOURS:
            other = _OF_COLOURS[name]
            raise UserError(
                f'domain {dataset.get("domain")!r}: step {name} of its pipeline is made for RGB of '
                '8 bits, and its images have bands: '
                + (f'take {other}' if other else 'leave it out')
            )


def _check_alone(cfg: Config, parts: Parts) -> None:
    """Checks that data sets with bands of their own meet an encoder that takes as many."""
    taken = (cfg.model.get('backbone') or {}).get('encoder', {}).get('bands')
    for dataset in (*parts.datasets['train'], *parts.tested):
        given = Bands.of(dataset.get('bands'))
        names: Sequence[str] = given.use if given else ()
        if bool(names) != bool(taken) or (taken and len(names) != len(taken['names'])):
            wanted = short_list(taken['names']) if taken else 'RGB'
            raise UserError(
                f'domain {dataset.get("domain")!r} gives {short_list(names) if names else "RGB"}, '
                f'and the encoder takes {wanted}: expected the same; give benchmark.bands, which '
                'both follow'
            )
        if given:
            _check_steps(dataset)
