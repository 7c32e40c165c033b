"""Checks of configs with a head whose queries pass through the encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rein_seg.errors import UserError
from rein_seg.heads.cascade import every_head, head_class


def joins_encoder(cfg: Mapping[str, Any]) -> bool:
    """Says whether the queries of a head of this config pass through the encoder.

    Args:
        cfg: Config of the head.

    Example:
        >>> from rein_seg.models.joining import joins_encoder
        >>> joins_encoder(dict(type='EoMTHead')), joins_encoder(dict(type='LinearHead'))
        (True, False)
    """
    cls = head_class(cfg)
    return cls is not None and cls.joins_encoder


def check_joining(decode_head: Any, auxiliary_head: Any, neck: Any) -> None:
    """Checks that at most one head joins the encoder: the decode head, without a neck.

    Args:
        decode_head: Config of the head, or of a cascade.
        auxiliary_head: Config, list of configs, or None.
        neck: Config, or None.

    Raises:
        UserError: If another head joins the encoder, or there is a neck.

    Example:
        >>> from rein_seg.models.joining import check_joining
        >>> check_joining(dict(type='LinearHead'), [dict(type='EoMTHead')], None)
        Traceback (most recent call last):
        rein_seg.errors.UserError: EoMTHead passes its queries through the encoder, which one head \
alone can do: expected it as model.decode_head, not among auxiliary heads or in a cascade; move it
    """
    inside = [head for head in every_head(decode_head, auxiliary_head) if joins_encoder(head)]
    if not inside:
        return
    name = inside[0]['type']
    if len(inside) > 1 or not joins_encoder(decode_head):
        raise UserError(
            f'{name} passes its queries through the encoder, which one head alone can do: expected '
            'it as model.decode_head, not among auxiliary heads or in a cascade; move it'
        )
    if neck is not None:
        raise UserError(
            f'{name} reads the maps of the encoder that its queries have seen, and model.neck='
            f'{neck["type"]!r} would change them: expected no neck; leave it out'
        )


def refuse_joining(tasks: Mapping[str, Any]) -> None:
    """Refuses heads that join the encoder in a model of several tasks.

    Args:
        tasks: Place in the config -> config of the head, or None.

    Raises:
        UserError: If there is one.

    Example:
        >>> from rein_seg.models.joining import refuse_joining
        >>> refuse_joining({'model.tasks.road.decode_head': dict(type='LinearHead')})
    """
    for place, cfg in tasks.items():
        if any(joins_encoder(head) for head in every_head(cfg)):
            raise UserError(
                f'{place}: {cfg["type"]} passes its queries through the encoder, and the tasks of '
                'MultiTaskSegmentor share one pass: expected a head on its maps, such as '
                'Mask2FormerHead; take it, or PEFTSegmentor'
            )
