"""Plain vision transformers of timm by name.

DINOv3, EVA02, SigLIP, CLIP, MAE, DeiT III, Perception Encoder, AIMv2, C-RADIO, BEiT and more.

B batch, N patch tokens, P prefix tokens (class and registers), C channels, H x W grid.
timm itself is imported when the first such encoder is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.checks import check_flag, check_out_indices, default_out_indices
from rein_seg.encoders.timm.biased import biased_maps, take_any_size
from rein_seg.encoders.timm.build import (
    create_timm,
    fetch_timm,
    join_biases,
    normalisation,
    published_cfg,
)
from rein_seg.errors import NoFinalNorm, UserError

_MODELS = ('VisionTransformer', 'VisionTransformerDistilled', 'Eva', 'Beit')
_BLOCKS = ('Block', 'EvaBlock')
_TAKES = (
    'TimmEncoder takes the classes VisionTransformer, Eva and Beit with pre-norm blocks, such as '
    'DINOv3, EVA02, SigLIP, CLIP, MAE, BEiT; for a network with stages, such as ConvNeXt, use '
    'TimmStages'
)
_OURS = dict(num_classes=0, global_pool='')


class ReportGrid(nn.Module):
    """Returns the image and the (H, W) of its patches, as `Anatomy.grid_module`."""

    def __init__(self, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size

    def forward(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Returns the image as it came, and its grid."""
        height, width = image.shape[-2:]
        return image, (height // self.patch_size, width // self.patch_size)


@MODELS.register_module()
class TimmEncoder(nn.Module):
    """Block outputs of a timm vision transformer, as maps.

    Pooling and head are taken off, and the final norm, unless ``final_norm`` keeps it. A qkv with
    separate q and v biases becomes a linear with one bias (zero for k, which computes the same), so
    that hooks see its whole output.

    Args:
        model: timm's name, such as ``vit_large_patch16_dinov3_qkvb``.
        img_size: Side of the images, or (H, W), for the stored grid of absolute positions, or
            tables of relative positions (BEiT); other sizes are taken too, with positions resized
            by timm's rule. None keeps the model's.
        patch_size: Side in pixels; None keeps the model's.
        out_indices: Blocks whose outputs are returned; default: `default_out_indices`.
        resample: Rule for resizing a weights file's patch kernel and positions: ``timm``, or
            ``bicubic`` as in Rein's conversion of EVA02.
        model_args: Further arguments of the timm model.
        final_norm: Applies the model's final norm to each output; the stream stays as it is.

    Shapes:
        (B, 3, H p, W p) normalised image -> (B, C, H, W) for each of ``out_indices``.

    Raises:
        UserError: If timm has no such model or argument, the model is not a plain pre-norm vision
            transformer, an out index lies outside its depth, or the model has no final norm to
            keep.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.timm import TimmEncoder
        >>> sizes = dict(embed_dim=32, depth=2, num_heads=2)
        >>> encoder = TimmEncoder('vit_small_patch16_dinov3', model_args=sizes)
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 96))]
        [(1, 32, 4, 6), (1, 32, 4, 6)]
    """

    def __init__(
        self,
        model: str,
        img_size: int | Sequence[int] | None = None,
        *,
        patch_size: int | None = None,
        out_indices: Sequence[int] | None = None,
        resample: str = 'timm',
        model_args: Mapping[str, Any] | None = None,
        final_norm: bool = False,
    ) -> None:
        super().__init__()
        if resample not in ('timm', 'bicubic'):
            raise UserError(f"TimmEncoder resample={resample!r}: expected 'timm' or 'bicubic'")
        sizes = dict(img_size=img_size, patch_size=patch_size)
        given = {key: value for key, value in sizes.items() if value is not None}
        args = dict(model_args or {}) | given
        self.model_name = model
        self.model_args = {key: value for key, value in args.items() if value is not None}
        self.resample, self.final_norm = resample, check_flag('final_norm', final_norm)
        self.model = build_timm(model, self.model_args, final_norm=final_norm)
        depth = len(self.model.blocks)
        chosen = default_out_indices(depth) if out_indices is None else out_indices
        self.out_indices = check_out_indices(chosen, depth, unit='blocks')
        self.grid = ReportGrid(_square_patch(self.model))
        self.biased = is_biased(self.model)
        for block in self.model.blocks:
            join_biases(block.attn)
            if hasattr(block.attn, 'num_prefix_tokens'):
                block.attn.register_forward_pre_hook(count_prefix, with_kwargs=True)
        if self.biased:
            take_any_size(self.model)
        self.pretrained_cfg = published_cfg(self.model)
        self.image_mean, self.image_std = normalisation(self.pretrained_cfg)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Returns the outputs of the chosen blocks, without prefix tokens."""
        image, _ = self.grid(image)
        if self.biased:
            return tuple(biased_maps(self.model, image, self.out_indices))
        maps = self.model.forward_intermediates(
            image,
            indices=list(self.out_indices),
            norm=self.final_norm,
            stop_early=True,
            intermediates_only=True,
        )
        return tuple(maps)

    def fetch_pretrained(self) -> str:
        """Returns the path of the model's published weights; downloads them on first use.

        Raises:
            UserError: If timm names none, or they cannot be had.
        """
        return fetch_timm(self.model_name, self.pretrained_cfg)


def build_timm(name: str, args: Mapping[str, Any], *, final_norm: bool = False) -> nn.Module:
    """Builds a timm model without weights, pooling and head.

    Args:
        name: timm's name.
        args: Arguments of the model.
        final_norm: Keeps the norm behind the last block.

    Raises:
        UserError: See `TimmEncoder`.
    """
    model = create_timm(name, {**_OURS, **_any_size(name), **args}, given=args, takes=_TAKES)
    check_plain(model, f'timm model {name!r}')
    model.fc_norm = nn.Identity()
    if not final_norm:
        model.norm = nn.Identity()
    elif isinstance(model.norm, nn.Identity):
        raise NoFinalNorm(
            f'TimmEncoder final_norm=True keeps the norm behind the last block, and timm model '
            f'{name!r} has none: expected a model with such a norm, such as '
            'vit_small_patch16_dinov3; leave final_norm out, or take such a model'
        )
    return model


def _any_size(name: str) -> dict[str, bool]:
    """Returns timm's argument for images of any size; BEiT has none and `biased_maps` instead."""
    import timm

    known = isinstance(name, str) and timm.is_model(name)
    beit = known and timm.models.model_entrypoint(name).__module__.endswith('.beit')
    return {} if beit else dict(dynamic_img_size=True)


def check_plain(model: nn.Module, what: str) -> None:
    """Checks that a model of timm is a plain vision transformer with pre-norm blocks.

    Raises:
        UserError: If it is not.
    """
    kind = type(model).__name__
    blocks = {type(block).__name__ for block in getattr(model, 'blocks', ())}
    if kind not in _MODELS or not blocks <= set(_BLOCKS):
        raise UserError(f'{what} is a {kind} of {sorted(blocks)}. {_TAKES}')


def is_biased(model: nn.Module) -> bool:
    """Says whether a model of timm is a BEiT, which has tables of relative positions."""
    return type(model).__name__ == 'Beit'


def count_prefix(attention: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Forward pre-hook of an attention with rotary positions, which are for patches only.

    Prompts of a method lengthen the prefix.
    """
    rope = kwargs.get('rope')
    if rope is not None:
        count = args[0].shape[1] - rope.shape[-2]
        if attention.num_prefix_tokens != count:
            attention.num_prefix_tokens = count


def _square_patch(model: nn.Module) -> int:
    height, width = model.patch_embed.patch_size
    if height != width:
        raise UserError(f'TimmEncoder takes square patches, not {(height, width)} pixels')
    return int(height)
