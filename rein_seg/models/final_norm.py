"""The final norm of an encoder, which some heads read and the encoder then keeps.

K classes.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS

from rein_seg.errors import NoFinalNorm, UserError
from rein_seg.heads.cascade import every_head, head_class
from rein_seg.heads.contract import Reads
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.models.head_config import fill_methods
from rein_seg.structures import Anatomy


def build_for_heads(
    backbone: Mapping[str, Any], heads: Sequence[Any], num_classes: int
) -> PEFTBackbone:
    """Builds a backbone whose encoder keeps its final norm, if a head reads it, and checks that.

    A head that reads it where it is there takes an encoder without.

    Args:
        backbone: Config of the backbone.
        heads: Configs of the heads.
        num_classes: K.

    Raises:
        UserError: As `keep_final_norm`, and if a head needs a norm that the encoder has not.

    Example:
        >>> from rein_seg.models.final_norm import build_for_heads
        >>> encoder = dict(type='TinyViT', init_seed=0)
        >>> backbone = dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Frozen'))
        >>> heads = [dict(type='PMTHead')], [dict(type='FCNHead')]
        >>> [build_for_heads(backbone, each, 3).anatomy.norms_maps for each in heads]
        [True, False]
    """
    try:
        built = MODELS.build(fill_methods(keep_final_norm(backbone, heads), num_classes))
    except NoFinalNorm as error:
        reader = _reader_of_norm(heads)
        if 'final_norm' in backbone['encoder']:
            raise
        if reader is not None:
            raise UserError(f'{reader} needs encoder.final_norm=True: {error}') from None
        return MODELS.build(fill_methods(backbone, num_classes))
    _check_final_norm(built.anatomy, heads)
    return built


def keep_final_norm(backbone: Mapping[str, Any], heads: Sequence[Any]) -> dict[str, Any]:
    """Returns a backbone's config whose encoder keeps its final norm, if a head reads it.

    Args:
        backbone: Config of the backbone.
        heads: Configs of the heads.

    Raises:
        UserError: If the config of the encoder says ``final_norm=False``.

    Example:
        >>> from rein_seg.models.final_norm import keep_final_norm
        >>> backbone = dict(encoder=dict(type='TinyViT'), peft=dict(type='Frozen'))
        >>> keep_final_norm(backbone, [dict(type='LinearHead')])['encoder']
        {'type': 'TinyViT'}
    """
    encoder, reader = backbone['encoder'], _reader_of_norm(heads)
    cls = MODELS.get(str(encoder.get('type')))
    if not isinstance(cls, type) or (reader or _reader_of_norm(heads, 'if_there')) is None:
        return dict(backbone)
    if reader is not None and encoder.get('final_norm', True) is False:
        raise UserError(
            f'{reader} reads the encoder behind its final norm, and encoder.final_norm=False takes '
            'the norm off: expected True; set it, or leave it out'
        )
    if 'final_norm' not in inspect.signature(cls).parameters:
        return dict(backbone)  # `_check_final_norm` looks at the encoder itself
    return {**backbone, 'encoder': {'final_norm': True, **encoder}}


def _check_final_norm(anatomy: Anatomy, heads: Sequence[Any]) -> None:
    reader = _reader_of_norm(heads)
    if reader is None or (anatomy.final_norm is not None and anatomy.norms_maps):
        return
    raise UserError(
        f'{reader} reads maps behind the final norm of a plain vision transformer, and the '
        f'{anatomy.family!r} encoder '
        + (
            'has no such norm: take one that has, such as DINOv2, or another head'
            if anatomy.final_norm is None or not anatomy.out_taps
            else 'norms its last block alone: set encoder.out_indices to the last block, or take '
            'a class that norms each map, such as DINOv2'
        )
    )


def _reader_of_norm(heads: Sequence[Any], how: Reads = True) -> str | None:
    """Returns the name of the first head whose ``reads_norm`` is ``how``."""
    classes = ((cfg['type'], head_class(cfg)) for cfg in every_head(*heads))
    return next((name for name, cls in classes if cls and cls.reads_norm == how), None)
