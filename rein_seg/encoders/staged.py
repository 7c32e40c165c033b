"""Anatomy of encoders whose stages hold token sequences: places, blocks, the way between stages.

B batch, N tokens of a map, P prompts, C channels, D channels of the next stage, k kernel side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from rein_seg.encoders.sites import Place, norm_site
from rein_seg.structures import BranchSite, SeqSite, Side, Site, StreamSite, Tap


def stage_places(name: str, depths: Sequence[int], widths: Sequence[int]) -> dict[str, Place]:
    """Returns the module name of each block, in forward order, and its place.

    Args:
        name: Pattern of the names, with ``{stage}`` counted from 0 or ``{number}`` from 1, and
            ``{index}`` within the stage.
        depths: Blocks of each stage, without the stages behind the last output.
        widths: C of each stage.

    Example:
        >>> from rein_seg.encoders.staged import stage_places
        >>> stage_places('block{number}.{index}', (1, 2), (64, 128))
        {'block1.0': (0, 0, 0, 64), 'block2.0': (1, 1, 0, 128), 'block2.1': (2, 1, 1, 128)}
    """
    numbered = [(stage, index) for stage, depth in enumerate(depths) for index in range(depth)]
    return {
        name.format(stage=stage, number=stage + 1, index=index): (
            block,
            stage,
            index,
            widths[stage],
        )
        for block, (stage, index) in enumerate(numbered)
    }


def token_block_sites(
    encoder: nn.Module,
    name: str,
    place: Place,
    *,
    attention: Sequence[Site],
    ffn: Sequence[Site],
    exits: tuple[str, str] = ('attn', 'mlp'),
    norms: tuple[str, str] = ('norm1', 'norm2'),
    last_sum: str = '',
    merging: nn.Module | None = None,
) -> list[Site]:
    """Returns the sites of a pre-norm block, (B, N, C) -> (B, N, C), in forward order.

    The block's call must take the tokens first. Its encoder must set the grid of the stage in its
    `RunState` before the blocks run.

    Args:
        encoder: The encoder.
        name: Module name of the block.
        place: Block, stage, depth and channels.
        attention: OP and further sites inside the attention.
        ffn: OP and further sites inside the feed-forward.
        exits: Modules of the block whose outputs are the two branches.
        norms: Norms of the block in front of the branches.
        last_sum: Module whose output is the last summand of the second residual sum, where the
            block goes on behind it; '' where it ends there.
        merging: For the first block of a later stage; see `SeqSite` and `TokenMerging`.
    """
    block = encoder.get_submodule(name)

    def tap(path: str, side: Side) -> Tap:
        return Tap(block.get_submodule(path) if path else block, side, 'NLC')

    def branch(kind: Literal['attn', 'ffn'], norm: str, exit_: str) -> Site:
        raw, normed = tap(norm, 'input'), tap(norm, 'output')
        return BranchSite(*place, kind, raw, normed, exit_pre=tap(exit_, 'output'), exit_post=None)

    return [
        StreamSite(*place, 'in', (tap('', 'input'),)),
        norm_site(encoder, f'{name}.{norms[0]}', 'norm1', place),
        *attention,
        branch('attn', norms[0], exits[0]),
        StreamSite(*place, 'mid', (tap(norms[1], 'input'), tap(last_sum, 'output'))),
        norm_site(encoder, f'{name}.{norms[1]}', 'norm2', place),
        *ffn,
        branch('ffn', norms[1], exits[1]),
        SeqSite(
            *place,
            entry=tap('', 'input'),
            exit=tap('', 'output'),
            merging=merging,
            why_no_mask='its keys are not the patches themselves (a smaller map, or groups)',
        ),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]


class TokenMerging(nn.Module):
    """Carries prompts into the next stage through its embedding, as patches of equal tokens.

    A prompt fills each pixel of its k x k patch, and padding takes no part. Convolution and norm
    are called, so methods on them change prompts as they change the map.

    Args:
        conv: Convolution C -> D in front of the stage, k x k, with equal strides and padding.
        norm: Norm behind it, over the last dimension; None: no norm.

    Shapes:
        (B, 2, 2P, C), four copies of each prompt -> (B, 1, P, D): see `SeqSite`.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from rein_seg.encoders.staged import TokenMerging
        >>> conv = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        >>> TokenMerging(conv, nn.LayerNorm(8))(torch.randn(2, 2, 6, 4)).shape
        torch.Size([2, 1, 3, 8])
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.Module | None) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm
        (kernel, stride, padding) = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
        self.first = -(-padding // stride)  # index of the first result without padding
        self.side = self.first * stride - padding + kernel

    def forward(self, copies: Tensor) -> Tensor:
        """Returns the embedded prompts."""
        tokens = copies[:, 0, ::2]  # (B, P, C)
        patches = tokens.flatten(0, 1)[..., None, None].expand(-1, -1, self.side, self.side)
        embedded = self.conv(patches)[..., self.first, self.first].unflatten(0, tokens.shape[:2])
        return (embedded if self.norm is None else self.norm(embedded))[:, None]
