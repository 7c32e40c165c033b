"""Builds the text branch of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.text import TextBranch


def build_text(cfg: Mapping[str, Any], encoder: Mapping[str, Any], num_classes: int) -> TextBranch:
    """Builds a text branch.

    Args:
        cfg: Its config, with ``classes``.
        encoder: Config of the encoder, whose weights file may hold the text tower, too.
        num_classes: K.

    Raises:
        UserError: If the classes are missing, or are not K.

    Example:
        >>> from rein_seg.models.text_config import build_text
        >>> table = dict(type='ClassTable', classes=['road', 'sky'], dims=8)
        >>> build_text(table, dict(type='TinyViT', init_seed=0), 2).dims
        8
    """
    classes = cfg.get('classes') or ()
    if len(classes) != num_classes:
        raise UserError(
            f'model.text.classes has {len(classes)} names, the model num_classes={num_classes}: '
            'expected a name for each class; leave classes out to take the names of the data sets'
        )
    return MODELS.build(dict(cfg))
