"""TinyViT: the small pretrained encoder that comes with the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.plain_vit.anatomy import vit_anatomy
from rein_seg.encoders.plain_vit.dinov2 import convert_vit
from rein_seg.encoders.plain_vit.model import PlainViT, make_arch
from rein_seg.encoders.weights import Converted
from rein_seg.registry import register_anatomy, register_key_map

ARCHS = {'tiny': make_arch(192, 8, 3)}


@MODELS.register_module()
class TinyViT(PlainViT):
    """A plain vision transformer of 3.7 M parameters: width 192, 8 blocks, patch 8.

    Its weights are in the package (``checkpoint='package:tiny_vit.safetensors'``);
    ``docs/background/model-card.md`` describes their training.

    Args:
        arch: tiny, or a dict; see `PlainViT`.
        img_size: Side in pixels, or (height, width), of the stored grid of positions.
        patch_size: Side in pixels.
        out_indices: Blocks whose outputs are returned; default: every second block.
        out_type: ``featmap``, or ``raw`` for whole sequences.
        final_norm: Applies the final norm to each output; the package's weights have none, and it
            starts as the identity, scale 1 and shift 0, with them.

    Shapes:
        (B, 3, H p, W p) -> (B, C, H, W) for each output; ``raw``: (B, 1+N, C).

    Raises:
        UserError: If an argument is not as above.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.plain_vit import TinyViT
        >>> encoder = TinyViT(out_indices=[3, 7])
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 96))]
        [(1, 192, 8, 12), (1, 192, 8, 12)]
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'tiny',
        *,
        img_size: int | Sequence[int] = (128, 256),
        patch_size: int = 8,
        out_indices: Sequence[int] | None = None,
        out_type: str = 'featmap',
        final_norm: bool = False,
    ) -> None:
        super().__init__(
            arch,
            archs=ARCHS,
            img_size=img_size,
            patch_size=patch_size,
            out_indices=out_indices,
            out_type=out_type,
            final_norm=final_norm,
        )


register_anatomy(TinyViT)(vit_anatomy)


@register_key_map(TinyViT)
def convert_tiny_vit(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Converts the package's file, and others as `convert_vit` does.

    Raises:
        UserError: If the file is of another size.
    """
    return fill_final_norm(encoder, convert_vit(encoder, state))


def fill_final_norm(encoder: nn.Module, done: Converted) -> Converted:
    """Adds scale 1 and shift 0 of a final norm that the file does not have, and the encoder has.

    Args:
        encoder: A TinyViT.
        done: The converted file.

    Example:
        >>> from rein_seg.encoders.plain_vit.tiny_vit import TinyViT, fill_final_norm
        >>> from rein_seg.encoders.weights import Converted
        >>> fill_final_norm(TinyViT(final_norm=True), Converted({})).filled
        ('ln1.weight', 'ln1.bias')
    """
    values = {'ln1.weight': 1.0, 'ln1.bias': 0.0} if encoder.final_norm else {}
    if done.tensors.keys() & values.keys():
        return done
    filled = {name: torch.full((encoder.embed_dims,), x) for name, x in values.items()}
    return replace(done, tensors=done.tensors | filled, filled=(*done.filled, *filled))
