"""SETR's vision transformer, and the names of its official files.

B batch, N patch tokens, C channels, H x W grid.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.plain_vit.anatomy import vit_anatomy
from rein_seg.encoders.plain_vit.dinov2 import convert_vit
from rein_seg.encoders.plain_vit.model import PlainViT, make_arch
from rein_seg.encoders.plain_vit.weights import PATCH, POSITIONS
from rein_seg.encoders.weights import HEADS, Converted, leave_out, rename, strip_prefix
from rein_seg.errors import UserError
from rein_seg.registry import register_anatomy, register_key_map

ARCHS = {'base': make_arch(768, 12, 12), 'large': make_arch(1024, 24, 16)}


@MODELS.register_module()
class SETRViT(PlainViT):
    """A vision transformer whose positions are resized bilinearly, by default without final norm.

    Args:
        arch: base or large, or a dict; see `PlainViT`.
        img_size: Side in pixels, or (height, width), of the stored grid of positions.
        patch_size: Side in pixels.
        drop_class_token: Removes the class token after the positions are added, before the first
            block, as SETR-MLA does: blocks see patches only.
        out_indices: Blocks whose outputs are returned; default: `default_out_indices`.
        out_type: ``featmap``, or ``raw`` for whole sequences.
        align_corners: How positions are resized, in a file and for an image of another size.
        norm_eps: Of all layer norms.
        final_norm: Applies the final norm to each output, which SETR does not have and files of
            vision transformers do.

    Shapes:
        (B, 3, H p, W p) -> (B, C, H, W) for each output; ``raw``: (B, 1+N, C), or (B, N, C).

    Raises:
        UserError: If an argument is not as above.

    Source: Zheng et al., "Rethinking Semantic Segmentation from a Sequence-to-Sequence Perspective
    with Transformers" (CVPR 2021), Sec. 3.2, and its official code. Differs from it: grids of any
    shape, officially square.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.plain_vit import SETRViT
        >>> sizes = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)
        >>> encoder = SETRViT(sizes, img_size=64, drop_class_token=True, out_type='raw')
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 96))]
        [(1, 24, 32), (1, 24, 32), (1, 24, 32), (1, 24, 32)]
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'large',
        *,
        img_size: int | Sequence[int] = 768,
        patch_size: int = 16,
        drop_class_token: bool = False,
        out_indices: Sequence[int] | None = None,
        out_type: str = 'featmap',
        align_corners: bool = False,
        norm_eps: float = 1e-6,
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
            interpolate_mode='bilinear',
            norm_cfg=dict(type='LN', eps=norm_eps),
        )
        self.drop_class_token = drop_class_token
        if drop_class_token:  # its value reaches no block, so it is no parameter
            token = self.cls_token.detach()
            del self.cls_token
            self.register_buffer('cls_token', token)
        self.align_corners = align_corners

    @property
    def num_prefix(self) -> int:
        """P: the class token inside the blocks, unless it is dropped."""
        return 0 if self.drop_class_token else 1

    def insert_tokens(self, x: Tensor) -> Tensor:
        """Returns the (B, 1+N, C) sequence, or (B, N, C) without its class token."""
        return x[:, 1:] if self.drop_class_token else x

    def as_mmpretrain(self) -> dict[str, Any]:
        """Returns the arguments of mmpretrain's own class; see `PlainViT`."""
        if self.drop_class_token:
            raise UserError(
                "mmpretrain's VisionTransformer adds no positions before it drops the class token, "
                'as drop_class_token=True does; take the official layout'
            )
        return super().as_mmpretrain()


register_anatomy(SETRViT)(vit_anatomy)


# of the neck of SETR-MLA, which is officially a part of the backbone
_NECK = r'norm_\d+\.|mla\.'
_CLASSIFIER = r'dist_token$|head_dist\.|pre_logits\.'
_BESIDE = '|'.join((*map(re.escape, HEADS), _NECK, _CLASSIFIER))
_MMSEG = (
    (r'\.attn\.attn\.in_proj_', '.attn.qkv.'),
    (r'\.attn\.attn\.out_proj\.', '.attn.proj.'),
)
_PATCH_BIAS = PATCH.replace('weight', 'bias')


@register_key_map(SETRViT)
def convert_setr(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Converts an official file of SETR, a ViT of timm, a DeiT, or a file of mmsegmentation.

    Heads and the neck of SETR-MLA are left out. Of the two extra tokens of a distilled DeiT the
    second is dropped, with its position. mmsegmentation's files of SETR have no bias of the patch
    embedding: it is zero.

    Raises:
        UserError: If the file is of another size, or no vision transformer.
    """
    tensors, left_out = leave_out(strip_prefix(state, 'cls_token'), _BESIDE)
    tensors = rename(tensors, _MMSEG)
    if POSITIONS in tensors:
        tensors[POSITIONS] = _with_one_token(tensors[POSITIONS])
    done = convert_vit(encoder, tensors)
    done = replace(done, left_out=(*left_out, *done.left_out))
    if PATCH not in done.tensors or _PATCH_BIAS in done.tensors:
        return done
    bias = torch.zeros(len(done.tensors[PATCH]))
    return replace(done, tensors={**done.tensors, _PATCH_BIAS: bias}, filled=(_PATCH_BIAS,))


def _with_one_token(positions: Tensor) -> Tensor:
    """Drops the second of two rows in front of a square grid, of positions (1, 1+N or 2+N, C)."""
    rows = positions.shape[1]
    if math.isqrt(rows - 1) ** 2 == rows - 1 or math.isqrt(rows - 2) ** 2 != rows - 2:
        return positions
    return torch.cat((positions[:, :1], positions[:, 2:]), dim=1)
