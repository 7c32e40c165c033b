"""TinyViT: the small pretrained encoder that comes with the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS

from rein_seg.encoders.plain_vit.anatomy import vit_anatomy
from rein_seg.encoders.plain_vit.dinov2 import convert_vit
from rein_seg.encoders.plain_vit.model import PlainViT, make_arch
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
        final_norm: Applies the final norm to each output; the package's weights have none.

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
register_key_map(TinyViT)(convert_vit)
