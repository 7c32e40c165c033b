"""Merges an adapter into its encoder: an ordinary weights file, and an adapter file of its head."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.checkpoint import (
    atomic_path,
    read_adapter,
    read_state_dict,
    save_adapter,
    save_tensors,
    tensors_sha256,
)
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.encoders import SOURCE_KEYS, WeightSource, to_file_layout, to_mmpretrain
from rein_seg.encoders.bands import STORED
from rein_seg.errors import UserError
from rein_seg.models.two_stage import TwoStageSegmentor
from rein_seg.run.results import adapter_metadata
from rein_seg.run.weights import check_weights, load_weights
from rein_seg.version import __version__

FORMAT = 'rein_seg-encoder/1'
LAYOUTS = ('official', 'mmpretrain')
_SUFFIXES = ('.safetensors', '.pth')
_TOLERANCE = 1e-4  # of the largest feature: float32 sums in another order stay well below


@dataclass(frozen=True)
class Merged:
    """The files of a merge.

    Attributes:
        encoder: File of the encoder's weights.
        adapter: Adapter file of neck and head, method Frozen.
        config: Config that uses both.
        layout: official or mmpretrain.
        difference: Largest difference between the features before and after, relative to the
            largest feature.
        notes: Remarks for the user, a line each.
    """

    encoder: Path
    adapter: Path
    config: Path
    layout: str
    difference: float
    notes: tuple[str, ...] = ()


def merge(
    cfg: Config, source: str, target: str | None = None, *, layout: str | None = None
) -> Merged:
    """Merges the method of an adapter into the weights of the config's encoder.

    Args:
        cfg: From `load_config`.
        source: The adapter file, or a checkpoint.
        target: File of the encoder to write, ``.safetensors`` or ``.pth``; defaults to
            ``merged_encoder.safetensors`` beside ``source``. ``<stem>_adapter.safetensors`` (neck
            and head) and ``<stem>_config.py`` are written beside it.
        layout: ``official``: as the file that the encoder was built from; ``mmpretrain``: names
            and sizes of mmpretrain's class. None takes official if there is a file.

    Raises:
        UserError: If the method cannot be merged, the layout cannot hold the result, a needed
            file would be overwritten, or config or weights are wrong. Nothing is written then.
    """
    encoder_cfg = cfg.model.backbone.encoder
    given = str(Path(source).parent / 'merged_encoder.safetensors') if target is None else target
    paths = _paths(given, needed=(source, encoder_cfg.get('checkpoint')))
    has_file = encoder_cfg.get('checkpoint') is not None or bool(encoder_cfg.get('pretrained'))
    layout = _check_layout(layout, has_file=has_file)
    check_weights(source, cfg.model)
    model = MODELS.build(cfg.model).eval()
    load_weights(model, source)
    method, difference = model.identity['method'], _fold(model)
    tensors, said, notes = _lay_out(model, encoder_cfg, layout)
    encoder_name = model.backbone.encoder_info.name
    origin = {
        'method': method,
        'adapter': {'file': Path(source).name, 'sha256': _fingerprint(source)},
        'encoder': {'name': encoder_name, 'weights': model.backbone.encoder_info.weights},
    }
    sha256 = tensors_sha256(tensors)
    about = {'format': FORMAT, 'version': __version__, 'sha256': sha256, 'layout': layout}
    save_tensors(paths[0], tensors, {**about, **origin, **said})
    methods = method if isinstance(method, list) else [method]
    name = ' + '.join([encoder_name, *(one['type'] for one in methods)])
    model.backbone.encoder_info = replace(
        model.backbone.encoder_info, weights=f'sha256:{sha256}', name=name
    )
    _write_rest(_frozen_config(cfg, str(paths[0]), name), model, origin, source, paths)
    return Merged(*paths, layout, difference, notes)


def _paths(target: str, *, needed: tuple[str | None, ...]) -> tuple[Path, Path, Path]:
    """Returns the paths of encoder, adapter and config to write."""
    path = Path(target)
    if path.suffix not in _SUFFIXES:
        raise UserError(f'--out {target!r}: expected a name in .safetensors or .pth')
    beside = (f'{path.stem}_adapter.safetensors', f'{path.stem}_config.py')
    paths = (path, *(path.with_name(name) for name in beside))
    for given in filter(None, needed):
        if os.path.realpath(given) in map(os.path.realpath, paths):
            raise UserError(f'--out {target!r} would overwrite {given!r}: give it another name')
    return paths


def _check_layout(layout: str | None, *, has_file: bool) -> str:
    if layout not in (None, *LAYOUTS):
        raise UserError(f'--layout {layout!r}: expected one of {LAYOUTS}')
    if layout == 'official' and not has_file:
        raise UserError(
            '--layout official: the encoder of this config has random weights (init_seed), which '
            'come from no file that could give a layout; take --layout mmpretrain'
        )
    # users load the merged file as they load the original, so the original's layout is the default
    return layout or ('official' if has_file else 'mmpretrain')


@torch.no_grad()
def _fold(model: Any) -> float:
    """Merges; returns the relative change of the features of a random image."""
    backbone, divisor = model.backbone, model.backbone.anatomy.divisor
    if isinstance(model, TwoStageSegmentor) and model.tower is backbone:
        raise UserError(
            'the adapter cannot be merged: model.regions shares the frozen encoder with the '
            'backbone, and would read its merged weights; give model.regions an encoder of its own '
            'before the training, or serve the adapter as it is'
        )
    sides = getattr(model.data_preprocessor, 'size', None) or (224, 224)
    # encoders take multiples of their patch size or stride only
    sides = [max(1, round(side / divisor)) * divisor for side in sides]
    bands = backbone.encoder_info.bands
    channels = 3 if bands is None else len(bands.names)
    image = torch.randn(1, channels, *sides, generator=torch.Generator().manual_seed(0))
    before = backbone(image).maps
    try:
        backbone.merge()
    except NotImplementedError as error:
        raise UserError(
            f'the adapter cannot be merged: {error}; test or serve it as an adapter'
        ) from None
    after = backbone(image).maps
    pairs = zip(before, after, strict=True)
    difference = max(((a - b).abs().max() / a.abs().max()).item() for a, b in pairs)
    if not difference < _TOLERANCE:  # NaN, too, ends here
        raise UserError(
            f'merging changed the features of a random image by {difference:.1e} of the largest, '
            f'more than rounding does ({_TOLERANCE:.0e}): the weights are not usable so; report it'
        )
    return difference


def _lay_out(
    model: Any, encoder_cfg: Any, layout: str
) -> tuple[dict[str, Tensor], dict[str, Any], tuple[str, ...]]:
    """Returns the tensors to write, the metadata of their file, and notes for the user."""
    encoder, info = model.backbone.encoder, model.backbone.encoder_info
    if layout == 'mmpretrain':
        tensors, config = to_mmpretrain(encoder, info.config)
        if info.bands is not None:
            config = {**config, 'in_channels': len(info.bands.names)}
        return tensors, {'mmpretrain': config}, ()
    state = WeightSource.take(dict(encoder_cfg), info.name).read(encoder)
    made = to_file_layout(encoder, state)
    notes = tuple(f'resampled when it is loaded, as in training: {x}' for x in made.resampled)
    notes += tuple(f"in the encoder's size, not the file's: {x}" for x in made.resized)
    said = {'changed': len(made.changed), 'resampled': made.resampled, 'resized': made.resized}
    return made.tensors, {**said, 'mean': info.mean, 'std': info.std}, notes


def _fingerprint(source: str) -> str:
    if str(source).endswith('.safetensors'):
        return read_adapter(source).metadata['sha256']
    return tensors_sha256(read_state_dict(source))


def _frozen_config(cfg: Config, checkpoint: str, name: str) -> Config:
    """Returns the config with the merged encoder and no method."""
    encoder = cfg.model.backbone.encoder.to_dict()
    # the merged file takes the place of every other source
    kept = {key: value for key, value in encoder.items() if key not in SOURCE_KEYS}
    if kept.get('bands'):
        kept['bands'] = {**kept['bands'], 'first_layer': STORED, 'train_input': False}
    options = {
        'model.backbone.encoder': {**kept, 'checkpoint': checkpoint, 'name': name},
        'model.backbone.peft': {'type': 'Frozen'},
    }
    options = {key: {'_delete_': True, **value} for key, value in options.items()}
    return resolve(cfg, Request(options=options)).cfg


def _write_rest(
    cfg: Config, model: nn.Module, origin: dict, source: str, paths: tuple[Path, Path, Path]
) -> None:
    """Writes the adapter file of neck and head, and the config."""
    known = read_adapter(source).metadata if str(source).endswith('.safetensors') else {}
    text = cfg.pretty_text
    metadata = adapter_metadata(cfg, model, scores=known.get('scores') or {}, config=text)
    save_adapter(paths[1], model, {**metadata, 'merged_from': origin})
    with atomic_path(paths[2]) as temporary:
        temporary.write_text(text)
