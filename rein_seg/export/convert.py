"""Converts official Rein checkpoints into adapter files, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

from rein_seg.checkpoint import save_adapter, save_checkpoint, to_official
from rein_seg.errors import UserError
from rein_seg.run.predict import dataset_meta
from rein_seg.run.results import adapter_metadata
from rein_seg.run.weights import check_weights, load_weights
from rein_seg.version import __version__


def convert(cfg: Config, source: str, target: str) -> str:
    """Loads weights into the config's model and writes them in another layout.

    Builds the model with its encoder's weights and loads the file as a test does. So a file that
    was made for another model is refused, not converted.

    Args:
        cfg: From `load_config`.
        source: An official checkpoint, an adapter file, or a training checkpoint.
        target: ``.safetensors`` writes an adapter file, ``.pth`` the official layout.

    Returns:
        The coverage report.

    Raises:
        UserError: If the file does not fit the model, the target has another suffix, the target
            is the source, or the official layout cannot hold the model.
    """
    suffix = Path(target).suffix
    if suffix not in ('.safetensors', '.pth'):
        raise UserError(
            f'target {target!r}: expected a name in .safetensors (adapter file) or .pth (official '
            'layout)'
        )
    if os.path.realpath(target) == os.path.realpath(source):
        raise UserError(f'target {target!r} is the file to convert: give it another name')
    training = check_weights(source)  # before the model is built, which takes longer
    model = MODELS.build(cfg.model)
    report = load_weights(model, source)
    if suffix == '.safetensors':
        _write_adapter(cfg, model, source, target, training)
    else:
        _write_official(cfg, model, source, target)
    return report


def _write_adapter(
    cfg: Config, model: nn.Module, source: str, target: str, training: Mapping[str, Any] | None
) -> None:
    """Writes an adapter file as training does, without scores."""
    metadata = adapter_metadata(cfg, model, scores={}, config=cfg.pretty_text, training=training)
    save_adapter(target, model, {**metadata, 'converted_from': Path(source).name})


def _write_official(cfg: Config, model: nn.Module, source: str, target: str) -> None:
    state = {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}
    meta = {
        'dataset_meta': {k: list(v) for k, v in dataset_meta(cfg).items()},
        'rein_seg_version': __version__,
        'converted_from': Path(source).name,
    }
    save_checkpoint(target, {'state_dict': to_official(state), 'meta': meta})
