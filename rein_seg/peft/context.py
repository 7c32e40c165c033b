"""The context of a method's function: which site its tensor comes from, and how it is laid out.

B batch, N patch tokens, P prefix tokens (class, registers, prompts), C channels, H x W grid.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from rein_seg.prompt_rows import prompt_rows
from rein_seg.structures import Anatomy, Layout, RunState, Site


class Context:
    """Everything a method's function may know about the tensor it gets.

    Attributes:
        site: The site, with its block, stage, depth and channels.
        layout: Order of the tensor's dimensions.

    Example:
        >>> import torch
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> from rein_seg.peft.context import Context
        >>> from rein_seg.structures import StreamSite
        >>> encoder, _ = build_encoder(dict(type='TinyViT', init_seed=0))
        >>> anatomy = find_anatomy(encoder)
        >>> anatomy.state.grid = (16, 8)  # a forward pass notes it
        >>> context = Context(anatomy.find(StreamSite)[0], 'NLC', anatomy)
        >>> x = torch.zeros(1, 1 + 128, 192)  # a class token and the patches
        >>> context.to_grid(x).shape
        torch.Size([1, 192, 16, 8])
        >>> context.from_grid(context.to_grid(x), like=x).shape
        torch.Size([1, 129, 192])
    """

    def __init__(
        self,
        site: Site,
        layout: Layout,
        anatomy: Anatomy,
        grid: Callable[[int, RunState], tuple[int, int]] | None = None,
    ) -> None:
        self.site = site
        self.layout = layout
        self._grid = grid  # of `Tap`
        self._state = anatomy.state
        self._num_prefix = anatomy.num_prefix

    @property
    def num_prefix(self) -> int:
        """Tokens in front of the patches now: class, registers and inserted prompts."""
        return self._num_prefix + self._state.num_prompts if self.layout == 'NLC' else 0

    @property
    def recomputing(self) -> bool:
        """Whether this is the second pass of activation checkpointing: store nothing from it."""
        return self._state.recomputing

    @property
    def carried(self) -> Tensor | None:
        """Tokens that the block before handed to `carry`; they can be read once."""
        tokens, self._state.carried = self._state.carried, None
        return tokens

    def carry(self, tokens: Tensor) -> None:
        """Hands (B, M, C) tokens that came out of this block to the next one."""
        if not self.recomputing:
            self._state.carried = tokens

    def grid(self, x: Tensor) -> tuple[int, int]:
        """Returns (H, W) of the patches in ``x``.

        Raises:
            UserError: If the encoder does not show it.
        """
        if self.layout == 'NLC' and self._grid is not None:
            return self._grid(x.shape[1] - self.num_prefix, self._state)
        if self.layout == 'NLC':
            return self._state.grid
        if self.layout == 'NCHW':
            return (x.shape[2], x.shape[3])
        return (x.shape[1] - self._rows(x), x.shape[2])

    def to_tokens(self, x: Tensor) -> Tensor:
        """Returns the patches of ``x``, in any layout, as (B, N, C)."""
        if self.layout == 'NLC':
            return x[:, self.num_prefix :]
        if self.layout == 'NHWC':
            return x[:, : x.shape[1] - self._rows(x)].flatten(1, 2)
        return x.flatten(2).transpose(1, 2)

    def from_tokens(self, tokens: Tensor, like: Tensor) -> Tensor:
        """Returns (B, N, C) patches in the shape of ``like``, zero for prefix tokens, prompts."""
        if self.layout == 'NLC':
            return F.pad(tokens, (0, 0, self.num_prefix, 0)) if self.num_prefix else tokens
        if self.layout == 'NHWC':
            rows = self._rows(like)
            grid = tokens.unflatten(1, (-1, like.shape[2]))
            return F.pad(grid, (0, 0, 0, 0, 0, rows)) if rows else grid
        return tokens.transpose(1, 2).reshape(like.shape)

    def _rows(self, x: Tensor) -> int:
        count = self._state.num_prompts
        return prompt_rows(count, x.shape[2]) if count else 0

    def to_grid(self, x: Tensor) -> Tensor:
        """Returns the patches of ``x`` as (B, C, H, W)."""
        if self.layout == 'NCHW':
            return x
        return self.to_tokens(x).transpose(1, 2).unflatten(2, self.grid(x))

    def from_grid(self, grid: Tensor, like: Tensor) -> Tensor:
        """Returns a (B, C, H, W) map in the shape of ``like``, zero for prefix tokens."""
        if self.layout == 'NCHW':
            return grid
        return self.from_tokens(grid.flatten(2).transpose(1, 2), like)

    def channels_last(self, x: Tensor) -> Tensor:
        """Returns ``x`` as (..., C), for linears and norms over the channels; prefix included."""
        return x.permute(0, 2, 3, 1) if self.layout == 'NCHW' else x

    def from_channels_last(self, x: Tensor) -> Tensor:
        """Returns (..., C) in the layout of the site."""
        return x.permute(0, 3, 1, 2) if self.layout == 'NCHW' else x
