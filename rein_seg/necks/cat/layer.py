"""Class-aware transformer layers: tokens that look for where to read their map, in several steps.

B batch, N tokens on a grid of n_h x n_w, D width, H x W map. Points are (y, x) in steps of pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn

from rein_seg.necks.cat.block import Block
from rein_seg.necks.cat.sampling import lattice, sample, sample_officially


class Tokens(NamedTuple):
    """The state between two steps.

    Attributes:
        point: (B, N, 2) position that each token has reached; no gradient flows into it.
        offset: (B, N, 2) step from there to the next position, None before the first step and
            after the last.
        values: (B, N, D), None before the first step.
    """

    point: Tensor
    offset: Tensor | None = None
    values: Tensor | None = None


class CATLayer(nn.Module):
    """One step: reads the map at the moved points, attends, and says where to read next.

    I' = map at p + gamma o; p moves by gamma o; V = I' + W p / S + I of the step before;
    I = block(V); o = linear(I). The offset gets its gradient through the next reading alone.

    Args:
        dims: D.
        num_heads: Heads of the block; divides D.
        mlp_ratio: Hidden width of the block's MLP divided by D.
        gamma: Factor of the offset.
        offset_bias: Whether the layer of the offsets has a bias.
        qkv_bias: Whether queries, keys and values have a bias.
        predicts: Whether it says where to read next; the last layer does not.
        official: As PS-ViT: p moves by o, whatever gamma is, and the gradients outside the map are
            as in `sample_officially`.

    Example:
        >>> import torch
        >>> from rein_seg.necks.cat.layer import CATLayer, Tokens
        >>> layer, encode = CATLayer(8, 2), torch.nn.Linear(2, 8)
        >>> tokens = Tokens(point=torch.zeros(1, 6, 2))
        >>> tokens = layer(torch.ones(1, 8, 3, 4), tokens, encode, torch.tensor([3.0, 4.0]))
        >>> tokens.values.shape, tokens.offset.abs().sum().item()
        (torch.Size([1, 6, 8]), 0.0)
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        *,
        mlp_ratio: float = 3.0,
        gamma: float = 1.0,
        offset_bias: bool = True,
        qkv_bias: bool = False,
        predicts: bool = True,
        official: bool = False,
    ) -> None:
        super().__init__()
        self.gamma, self.official = gamma, official
        self.transformer_layer = Block(
            dims, num_heads, mlp_ratio=mlp_ratio, qkv_bias=qkv_bias, eps=1e-5
        )
        self.offset_layer = nn.Linear(dims, 2, bias=offset_bias) if predicts else None
        self.apply(draw_linear)
        if self.offset_layer is not None:  # the first points are where the grid has them
            nn.init.zeros_(self.offset_layer.weight)

    def forward(self, features: Tensor, tokens: Tokens, encode: nn.Module, scale: Tensor) -> Tokens:
        """Returns the tokens after the step.

        Args:
            features: (B, D, H, W).
            tokens: Before the step.
            encode: W: a linear layer from 2 to D, which all steps share.
            scale: (2,): S of both sides.
        """
        point, offset, values = tokens
        position = point
        if offset is not None:
            position = point + self.gamma * offset
            point = point + offset.detach() if self.official else position.detach()
        read = (sample_officially if self.official else sample)(features, position)
        summed = read + encode(point / scale)
        values = self.transformer_layer(summed if values is None else summed + values)
        return Tokens(
            point, None if self.offset_layer is None else self.offset_layer(values), values
        )


class ClassAwareTransformer(nn.Module):
    """M steps over one map, from a regular grid of points (CAT).

    Args:
        dims: D.
        grid: (n_h, n_w).
        num_iters: M.
        num_heads: Heads of each block; divides D.
        mlp_ratio: Hidden width of each MLP divided by D.
        gamma: Factor of the offsets.
        offset_bias: Whether the layers of the offsets have a bias.
        qkv_bias: Whether queries, keys and values have a bias.
        official: As PS-ViT: the grid lies half a pixel further down and right, tokens run along
            columns, both coordinates of the encoding are divided by H; and see `CATLayer`.

    Shapes:
        (B, D, H, W) -> (B, N, D), rows before columns unless ``official``.

    Source: Yue et al., "Vision Transformer with Progressive Sampling" (ICCV 2021), Sec. 3.2, which
    CASTformer (You et al., NeurIPS 2022) builds on. Differs from it, where ``official=False``: a
    grid as fine as the map with zero offsets reads the map itself; the officially shifted grid
    averages neighbours and fades out at the last row and column. A point moves by the step that it
    was read at. Sides are divided apart. Gradients outside the map belong to the forward pass.

    Example:
        >>> import torch
        >>> from rein_seg.necks.cat.layer import ClassAwareTransformer
        >>> cat = ClassAwareTransformer(8, (2, 3), num_heads=2)
        >>> cat(torch.zeros(1, 8, 5, 7)).shape
        torch.Size([1, 6, 8])
    """

    def __init__(
        self,
        dims: int,
        grid: tuple[int, int],
        *,
        num_iters: int = 4,
        num_heads: int,
        mlp_ratio: float = 3.0,
        gamma: float = 1.0,
        offset_bias: bool = True,
        qkv_bias: bool = False,
        official: bool = False,
    ) -> None:
        super().__init__()
        self.grid, self.official = grid, official
        options: dict[str, Any] = dict(
            mlp_ratio=mlp_ratio,
            gamma=gamma,
            offset_bias=offset_bias,
            qkv_bias=qkv_bias,
            official=official,
        )
        self.pos_layer = nn.Linear(2, dims)
        self.ps_layers = nn.ModuleList(
            CATLayer(dims, num_heads, predicts=step < num_iters - 1, **options)
            for step in range(num_iters)
        )
        self.register_load_state_dict_pre_hook(_drop_copies)
        draw_linear(self.pos_layer)

    def forward(self, features: Tensor) -> Tensor:
        """Returns the (B, N, D) tokens after the last step."""
        *_, last = self.steps(features)
        return last.values

    def steps(self, features: Tensor) -> Iterator[Tokens]:
        """Yields the tokens after each step.

        Args:
            features: (B, D, H, W).
        """
        height, width = features.shape[-2:]
        points = lattice(self.grid, (height, width), official=self.official, like=features)
        scale = points.new_tensor((height, height if self.official else width))
        tokens = Tokens(points.expand(len(features), -1, -1))
        for layer in self.ps_layers:
            tokens = layer(features, tokens, self.pos_layer, scale)
            yield tokens


def draw_linear(module: nn.Module) -> None:
    """Draws the weight of a linear layer as vision transformers do; its bias becomes 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _drop_copies(module: nn.Module, state: dict[str, Tensor], prefix: str, *unused: Any) -> None:
    """Drops what PS-ViT's files repeat: the grid of points, and ``pos_layer`` in every layer."""
    for name in [name for name in state if name.startswith(prefix)]:
        if name == f'{prefix}point_coord' or '.position_layer.' in name:
            del state[name]
