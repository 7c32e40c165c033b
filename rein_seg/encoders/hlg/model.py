"""HLG: hierarchical local-global transformer for segmentation.

B batch, C_s channels of stage s, H x W image, S stages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.checks import (
    arch_sizes,
    check_count,
    check_listed,
    check_out_indices,
    drop_path_rates,
)
from rein_seg.encoders.hlg.layer import (
    Behaviour,
    GlobalLayer,
    HLGLayer,
    LocalToGlobalLayer,
    to_map,
)
from rein_seg.errors import UserError
from rein_seg.structures import RunState

_ARCH_KEYS = ('embed_dims', 'depths', 'num_heads')
_BEHAVIOURS = ('intent', 'official')


def _arch(width: int, depths: Sequence[int]) -> dict[str, list[int]]:
    widths = [width * 2**stage for stage in range(len(depths))]
    each = (widths, list(depths), [w // 32 for w in widths])
    return dict(zip(_ARCH_KEYS, each, strict=True))


ARCHS = {
    'tiny': _arch(64, (2, 2, 6, 2)),
    'small': _arch(96, (2, 2, 6, 2)),
    'medium': _arch(96, (2, 2, 14, 2)),
    'large': _arch(128, (2, 2, 18, 2)),
}


@MODELS.register_module()
class HLGTransformer(nn.Module):
    """Computes the normed maps of the stages of HLG, whose pixels attend to windows.

    The first layer of a stage halves the map; every second layer spreads its windows over the map.
    In the last stage all pixels attend to one another. A stage hands on its normed map.

    Args:
        arch: tiny, small, medium or large, or a dict of embed_dims, depths and num_heads, each a
            number for each stage.
        behaviour: ``intent``: the bias from pixel to window is computed from the offset to the
            window's centre, and padding is never seen by a pixel. ``official``: as the authors'
            code computes it, as far as it runs: this bias is the first columns of the bias from
            pixel to pixel, and padding is smoothed, attended to and averaged like pixels; square
            images only. The authors' weights were trained with ``official``, as far as known.
        out_indices: Stages whose outputs are returned; default all.
        window_size: Members along a side of a window.
        qkv_bias: Whether q, k and v have a bias.
        drop_path_rate: Probability of leaving out a branch of the last layer, in training; rises
            linearly from 0 over the layers.

    Shapes:
        (B, 3, H, W) normalised image -> (B, C_s, H / 2^(s+2), W / 2^(s+2)) for each output s.

    Raises:
        UserError: If an argument is not as above, or an image is not square with ``official``.

    Source: Zhang et al., "Vision Transformers: From Semantic Segmentation to Dense Prediction"
    (arXiv 2207.09339); details as its code has them, which cannot run as published. Differs from
    it: ``intent`` is ours, `official` repairs what fails.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.hlg import HLGTransformer
        >>> encoder = HLGTransformer(dict(embed_dims=[32, 64], depths=[2, 1], num_heads=[1, 2]))
        >>> [tuple(x.shape) for x in encoder(torch.zeros(2, 3, 64, 96))]
        [(2, 32, 16, 24), (2, 64, 8, 12)]
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'small',
        *,
        behaviour: Behaviour = 'intent',
        out_indices: Sequence[int] | None = None,
        window_size: int = 7,
        qkv_bias: bool = True,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = _sizes(arch)
        check_listed('out_indices', out_indices, unit='stages')
        check_count('window_size', window_size)
        if behaviour not in _BEHAVIOURS:
            raise UserError(f'encoder.behaviour={behaviour!r}: expected intent or official')
        self.embed_dims, self.depths, self.num_heads = (tuple(sizes[key]) for key in _ARCH_KEYS)
        self.behaviour, self.state = behaviour, RunState()
        chosen = range(len(self.depths)) if out_indices is None else out_indices
        self.out_indices = check_out_indices(chosen, len(self.depths), unit='stages')
        width = self.embed_dims[0]
        self.s0_conv = nn.Sequential(_conv(3, width, stride=2), _conv(width, width, stride=1))
        options = dict(behaviour=behaviour, window_size=window_size, qkv_bias=qkv_bias)
        rates = drop_path_rates(drop_path_rate, sum(self.depths))
        for stage in range(len(self.depths)):
            ahead = sum(self.depths[:stage])
            own = rates[ahead : ahead + self.depths[stage]]
            self.add_module(f'block{stage + 1}', self._stage(stage, own, **options))
            self.add_module(self.norm_name(stage), nn.LayerNorm(self.embed_dims[stage], eps=1e-6))
        self.reset_parameters()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns one map for each of ``out_indices``."""
        self.check_size(x.shape[-2:])
        self.state.begin()
        x, outputs = self.s0_conv(x), []
        self.state.grid = (x.shape[2], x.shape[3])
        x = x.flatten(2).transpose(1, 2)
        for stage in range(self.out_indices[-1] + 1):
            for block in self.get_submodule(f'block{stage + 1}'):
                x = block(x)
            x = self.get_submodule(self.norm_name(stage))(x)  # the normed map goes on
            if stage in self.out_indices:
                outputs.append(to_map(x, self.state.grid))
        return tuple(outputs)

    def check_size(self, size: Sequence[int]) -> None:
        """Checks that images are square, which ``official`` needs.

        Args:
            size: (H, W) in pixels.

        Raises:
            UserError: If they are not.
        """
        if self.behaviour == 'official' and size[0] != size[1]:
            side = max(size)
            raise UserError(
                f'HLGTransformer behaviour="official" takes square images, not {tuple(size)} '
                f'(height, width): give ({side}, {side}), slide a square window, or set '
                'encoder.behaviour="intent"'
            )

    def reset_parameters(self) -> None:
        """Draws the weights anew: linears as the authors do, convolutions as PyTorch does."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, (nn.Conv2d, nn.LayerNorm, nn.BatchNorm2d)):
                module.reset_parameters()

    def norm_name(self, stage: int) -> str:
        """Returns the name of the norm behind a stage."""
        return 'norm' if stage == len(self.depths) - 1 else f'norm_out_{stage}'

    def _stage(
        self, stage: int, rates: Sequence[float], *, qkv_bias: bool, **windowed: Any
    ) -> nn.ModuleList:
        width, last = self.embed_dims[stage], stage == len(self.depths) - 1
        layers: list[HLGLayer] = []
        for index, rate in enumerate(rates):
            inputs = self.embed_dims[max(stage - 1, 0)] if index == 0 else width
            args = (inputs, width, self.num_heads[stage])
            options = dict(down=index == 0, drop_path=rate, qkv_bias=qkv_bias, state=self.state)
            if last:
                layers.append(GlobalLayer(*args, **options))
            else:
                dilated = index % 2 == 1
                layers.append(LocalToGlobalLayer(*args, dilated=dilated, **windowed, **options))
        return nn.ModuleList(layers)


def _conv(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.GELU())


def _sizes(arch: str | Mapping[str, Any]) -> dict[str, Any]:
    """Returns the checked sizes of an architecture."""
    sizes = arch_sizes(arch, ARCHS, _ARCH_KEYS)
    for key in _ARCH_KEYS:
        check_listed(f'arch.{key}', sizes[key], unit='numbers, a number for each stage')
        for value in sizes[key]:
            check_count(f'arch.{key}', value)
    lengths = {len(sizes[key]) for key in _ARCH_KEYS}
    if len(lengths) > 1:
        raise UserError(
            f'encoder.arch={dict(sizes)}: expected as many embed_dims as depths and num_heads'
        )
    for stage, (width, heads) in enumerate(
        zip(sizes['embed_dims'], sizes['num_heads'], strict=True)
    ):
        if width % heads or width % 16:
            raise UserError(
                f'encoder.arch has embed_dims={width} and num_heads={heads} in stage {stage}: '
                'expected a width that 16 and the number of heads divide'
            )
        before = sizes['embed_dims'][max(stage - 1, 0)]
        if width % before:
            raise UserError(
                f'encoder.arch has embed_dims={list(sizes["embed_dims"])}: expected each width to '
                'be a multiple of the width before'
            )
    return sizes
