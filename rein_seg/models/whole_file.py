"""The trained image encoder in official checkpoints of whole segmentors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from rein_seg.encoders.weights import Converted
from rein_seg.errors import UserError
from rein_seg.peft.methods.full import Full
from rein_seg.registry import key_map

if TYPE_CHECKING:
    from rein_seg.models.segmentor import PEFTSegmentor


def convert_encoder(have: Mapping[str, Tensor], model: PEFTSegmentor, source: str) -> Converted:
    """Returns the image encoder's tensors under our names.

    Args:
        have: Its tensors by official names.
        model: The segmentor.
        source: Kind and name of the file, for messages.

    Raises:
        UserError: If the file holds another encoder.
    """
    encoder, info = model.backbone.encoder, model.backbone.encoder_info
    convert = key_map(encoder)
    try:
        return convert(encoder, dict(have)) if convert else Converted(dict(have))
    except UserError as error:
        raise UserError(
            f"{source}: the backbone in the file is not the config's {info.name!r}: {error}"
        ) from error


def check_full(model: PEFTSegmentor, source: str) -> None:
    """Checks that the method can hold a trained encoder.

    Args:
        model: The segmentor.
        source: Kind and name of the file, for messages.

    Raises:
        UserError: If it is not `Full`.
    """
    method = model.backbone.peft
    if not isinstance(method, Full):
        raise UserError(
            f"{source} holds a trained image encoder, the config's method is "
            f"{type(method).__name__}: set model.backbone.peft.type='Full'"
        )
