"""Finds the anatomy of an encoder by its class."""

from __future__ import annotations

from torch import nn

from rein_seg.errors import UserError, near_misses
from rein_seg.registry import ANATOMIES, anatomy_function, registered_name
from rein_seg.structures import Anatomy


def find_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of ``encoder``, found by its exact class.

    Raises:
        UserError: If the class has no anatomy. Subclasses do not inherit an anatomy: an encoder
            that overrides ``forward`` (EVA02 derives from ViT) keeps its parts elsewhere.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> encoder, _ = build_encoder(dict(type='TinyViT', init_seed=0))
        >>> anatomy = find_anatomy(encoder)
        >>> anatomy.family, anatomy.num_blocks, anatomy.out_channels
        ('vit', 8, (192, 192, 192, 192))
    """
    describe_sites = anatomy_function(encoder)
    if describe_sites is None:
        name, known = registered_name(type(encoder)), known_classes()
        raise UserError(
            f'encoder class {name!r} has no anatomy; '
            f'{near_misses(type(encoder).__name__, known)} (known classes: {", ".join(known)}). '
            'Add one: write rein_seg/encoders/<family>.py with a function that returns its '
            f'Anatomy, decorated with @register_anatomy({name!r}).'
        )
    return describe_sites(encoder)


def known_classes() -> list[str]:
    """Returns the names of the encoder classes that have an anatomy, without their scopes."""
    names = (key if isinstance(key, str) else key.__name__ for key in ANATOMIES)
    return list(dict.fromkeys(name.rpartition('.')[2] for name in names))
