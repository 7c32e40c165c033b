"""The image tower of TinyCLIP: a TinyViT whose last block enters the space of its words.

B batch, N patch tokens, C channels, H x W grid, p patch side, D width of the shared space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.plain_vit.anatomy import vit_anatomy
from rein_seg.encoders.plain_vit.joint import check_joint, joint_space
from rein_seg.encoders.plain_vit.tiny_vit import TinyViT, fill_final_norm
from rein_seg.encoders.plain_vit.weights import PATCH, fit_plain_vit
from rein_seg.encoders.weights import Converted, leave_out, rename, strip_prefix
from rein_seg.errors import UserError
from rein_seg.registry import register_anatomy, register_key_map

# the text tower and its words beside the image tower, under OpenAI's names
TEXT_PARTS = (
    r'(token_embedding|transformer|ln_final)\.'
    r'|(positional_embedding|text_projection|logit_scale|logit_bias|words)$'
)


@MODELS.register_module()
class TinyCLIP(TinyViT):
    """A `TinyViT` trained with captions of drawn streets, with the space that it shares with text.

    Its weights are in the package (``checkpoint='package:tinyclip.safetensors'``) together with
    their text tower and word list; ``docs/background/model-card-tinyclip.md`` describes them.

    Args:
        arch: tiny, or a dict; see `PlainViT`.
        img_size: Side in pixels, or (height, width), of the stored grid of positions.
        patch_size: Side in pixels.
        out_indices: Blocks whose outputs are returned; default: every second block.
        out_type: ``featmap``, or ``raw`` for whole sequences.
        final_norm: As for `TinyViT`.
        joint_dims: D; None leaves the joint space out, for heads that read maps alone.

    Shapes:
        (B, 3, H p, W p) -> (B, C, H, W) for each output; ``raw``: (B, 1+N, C). The output of the
        module ``joint``, which a backbone reads: global (B, D) and dense (B, D, H, W).

    Raises:
        UserError: If an argument is not as above.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.plain_vit import TinyCLIP
        >>> encoder = TinyCLIP(joint_dims=128)
        >>> [tuple(x.shape) for x in encoder.embed(torch.zeros(1, 3, 64, 96))]
        [(1, 128), (1, 128, 8, 12)]
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
        joint_dims: int | None = 128,
    ) -> None:
        super().__init__(
            arch,
            img_size=img_size,
            patch_size=patch_size,
            out_indices=out_indices,
            out_type=out_type,
            final_norm=final_norm,
        )
        self.joint = joint_space(self.embed_dims, joint_dims)

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns global (B, D) and dense (B, D, H, W) embedding of normalised images."""
        x, grid = self.sequence(images)
        for layer in self.layers:
            x = layer(x)
        return self.joint(x, grid)


register_anatomy(TinyCLIP)(vit_anatomy)


@register_key_map(TinyCLIP)
def convert_tiny_clip(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Converts the package's file: image tower under ``visual.``; the text tower is left out.

    Raises:
        UserError: If the file has no joint space, as TinyViT's, or is of another size or CLIP.
    """
    if any(name.endswith(('class_embedding', 'attnpool.c_proj.weight')) for name in state):
        raise UserError(
            "the weights file is in the layout of OpenAI's CLIP, the encoder a TinyCLIP: use "
            "type='CLIPViT' or 'CLIPResNet', or checkpoint='package:tinyclip.safetensors'"
        )
    tensors, text = strip_prefix(state, 'visual.cls_token'), ()
    if 'visual.cls_token' in tensors:
        tensors, text = leave_out(tensors, TEXT_PARTS)
        tensors = rename(tensors, [(r'^visual\.', '')])
    tensors = strip_prefix(tensors, 'cls_token')
    if encoder.joint is None:
        tensors, unused = leave_out(tensors, r'joint\.')
        text = (*text, *unused)
    elif PATCH in tensors:
        check_joint(encoder, tensors, 'joint.proj')
    fitted = fit_plain_vit(encoder, tensors, text, own_names=True)
    return Converted(state) if fitted is None else fill_final_norm(encoder, fitted)
