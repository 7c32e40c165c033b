"""DINOv2 with and without register tokens, and the names of its official files.

B batch, N patch tokens, R register tokens, C channels, H x W grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.checks import check_count, check_number
from rein_seg.encoders.plain_vit.anatomy import vit_anatomy
from rein_seg.encoders.plain_vit.model import PlainViT, make_arch
from rein_seg.encoders.plain_vit.weights import PATCH, REGISTERS, add_class_row, fit_plain_vit
from rein_seg.encoders.weights import Converted, leave_out, rename, strip_prefix
from rein_seg.errors import UserError
from rein_seg.registry import register_anatomy, register_key_map

ARCHS = {
    'small': make_arch(384, 12, 6),
    'base': make_arch(768, 12, 12),
    'large': make_arch(1024, 24, 16),
    'giant': make_arch(1536, 40, 24, ffn_type='swiglu_fused'),
}


@MODELS.register_module()
class DINOv2(PlainViT):
    """A vision transformer with LayerScale and, in its second release, register tokens.

    Args:
        arch: small, base, large or giant, or a dict; see `PlainViT`.
        img_size: Side in pixels, or (height, width), of the stored grid of positions; other sizes
            resize it as they come.
        patch_size: Side in pixels; the kernel of official files, 14, is resized.
        num_registers: R tokens between class token and patches (official: 0 or 4).
        out_indices: Blocks whose outputs are returned; default: the choice of Rein.
        out_type: ``featmap``, or ``raw`` for whole sequences.
        final_norm: Applies the final norm to each output, as ``norm=True`` does officially.
        interpolate_offset: See `PlainViT`; default: 0.1, with registers 0.
        antialias: See `PlainViT`; default: only with registers.
        layer_scale_init_value: Start of LayerScale, for training without a file.

    Shapes:
        (B, 3, H p, W p) -> (B, C, H, W) for each output; ``raw``: (B, 1+R+N, C).

    Raises:
        UserError: If an argument is not as above.

    Source: Oquab et al., 2023; registers: Darcet et al., ICLR 2024; official code for the rules
    of resizing. Differs from it: patch 16 by default, as in Rein.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.plain_vit import DINOv2
        >>> sizes = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)
        >>> encoder = DINOv2(sizes, img_size=64, num_registers=4)
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 96))]
        [(1, 32, 4, 6), (1, 32, 4, 6), (1, 32, 4, 6), (1, 32, 4, 6)]
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'large',
        *,
        img_size: int | Sequence[int] = 512,
        patch_size: int = 16,
        num_registers: int = 0,
        out_indices: Sequence[int] | None = None,
        out_type: str = 'featmap',
        final_norm: bool = False,
        interpolate_offset: float | None = None,
        antialias: bool | None = None,
        layer_scale_init_value: float = 1e-5,
    ) -> None:
        check_count('num_registers', num_registers, least=0)
        if check_number('layer_scale_init_value', layer_scale_init_value) <= 0:
            raise UserError(
                f'encoder.layer_scale_init_value={layer_scale_init_value}: expected more than 0, '
                'since the files of DINOv2 have a LayerScale'
            )
        offset = 0.0 if num_registers else 0.1
        super().__init__(
            arch,
            archs=ARCHS,
            img_size=img_size,
            patch_size=patch_size,
            out_indices=out_indices,
            out_type=out_type,
            final_norm=final_norm,
            interpolate_offset=offset if interpolate_offset is None else interpolate_offset,
            antialias=num_registers > 0 if antialias is None else antialias,
            layer_scale_init_value=layer_scale_init_value,
        )
        self.num_registers = num_registers
        if num_registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, num_registers, self.embed_dims))

    def insert_tokens(self, x: Tensor) -> Tensor:
        """Returns (B, 1+R+N, C): registers get no position."""
        if not self.num_registers:
            return x
        registers = self.register_tokens.expand(len(x), -1, -1)
        return torch.cat((x[:, :1], registers, x[:, 1:]), dim=1)

    def as_mmpretrain(self) -> dict[str, Any]:
        """Returns the arguments of mmpretrain's own class; see `PlainViT`."""
        if self.num_registers:
            raise UserError(
                "mmpretrain's VisionTransformer has no register tokens, this encoder "
                f'{self.num_registers}; take the official layout'
            )
        return super().as_mmpretrain()


_RULES = (
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'^blocks\.\d+\.(\d+)\.', r'blocks.\1.'),  # chunks; the inner index counts over all chunks
    (r'^blocks\.', 'layers.'),
    (r'^(layers\.\d+)\.norm([12])\.', r'\1.ln\2.'),
    (r'\.ls1\.gamma$', '.attn.gamma1.weight'),
    (r'\.ls2\.gamma$', '.ffn.gamma2.weight'),
    (r'\.mlp\.fc1\.', '.ffn.layers.0.0.'),
    (r'\.mlp\.fc2\.', '.ffn.layers.1.'),
    (r'\.mlp\.(w12|w3)\.', r'.ffn.\1.'),
    (r'^norm\.', 'ln1.'),
    (r'^reg_token$', REGISTERS),  # timm's
)


register_anatomy(DINOv2)(vit_anatomy)


@register_key_map(DINOv2, 'mmpretrain.VisionTransformer')
def convert_vit(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Converts a file of DINOv2, or a file with the same names (timm, MAE, DeiT).

    Takes the official layout, with blocks in chunks or not, with or without a prefix such as
    ``backbone.``, the file that Rein's script writes, timm's layout with registers, and
    mmpretrain's own names. The mask token and heads are left out, and the final norm, if the
    encoder has none.

    Raises:
        UserError: If the file is of another size or of DINOv3, or has another number of register
            tokens.
    """
    unused = r'mask_token$|(.*\.)?(head|dino_head|ibot_head)\.'
    if not encoder.final_norm:
        unused += r'|(norm|ln1)\.'
    tensors, left_out = leave_out(strip_prefix(state, 'cls_token'), unused)
    if 'storage_tokens' in tensors:
        raise UserError(
            f'the weights file is a DINOv3, whose positions turn, and {type(encoder).__name__} has '
            "positions in a table: take type='TimmEncoder', model='vit_large_patch16_dinov3_qkvb' "
            '(_base_/encoders/dinov3_large.py), or a file of DINOv2'
        )
    renamed = rename(tensors, _RULES)
    if 'reg_token' in tensors:  # timm's, whose table has no row for the class token
        renamed = add_class_row(renamed)
    fitted = fit_plain_vit(encoder, renamed, left_out, own_names=PATCH in tensors)
    return fitted or Converted(state)
