"""Attention on (B, H, W, C) maps in windows, with prompts that every window sees.

B batch, H x W grid, n heads, d channels of one head, C = n d channels, nW windows of an image, N
tokens of a window, P prompts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rein_seg.prompt_rows import join_prompts, split_prompts
from rein_seg.structures import RunState


class MapAttention(nn.Module):
    """An attention whose input has prompts in rows below its map; the encoder's state counts them.

    Each window of an image sees all prompts. The result of a prompt is the mean over the windows.
    Subclasses implement `mix`.

    Args:
        qkv: Linear C -> 3 C.
        proj: Linear C -> C.
        num_heads: n.
        state: State of the encoder.
    """

    def __init__(self, qkv: nn.Module, proj: nn.Module, num_heads: int, state: RunState) -> None:
        super().__init__()
        self.qkv, self.proj = qkv, proj
        self.num_heads = num_heads
        self.state = state

    def mix(self, x: Tensor, prompts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns the result for a (B, H, W, C) map, and for (B, P, C) prompts."""
        raise NotImplementedError

    def forward(self, x: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """Returns the branch's result for a whole map, whose shape shows its grid."""
        count = self.state.num_prompts
        if not count:
            return self.mix(x, None)[0]
        x, prompts = split_prompts(x, count)
        self.state.num_prompts = 0  # the inputs of qkv and proj have no rows of prompts
        y, prompts = self.mix(x, prompts)
        self.state.num_prompts = count
        return join_prompts(y, prompts)

    def project(self, x: Tensor, prompts: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Returns q, k and v, each (B nW, n, P+N, d): the prompts of an image in each window.

        Args:
            x: (B nW, h, w, C), hw = N; the windows of an image follow one another.
            prompts: (B, P, C); they go through ``qkv`` once an image.
        """
        parts = self._parts(x)
        if prompts is not None:
            windows = x.shape[0] // prompts.shape[0]
            ahead = self._parts(prompts[:, None]).repeat_interleave(windows, dim=1)
            parts = torch.cat((ahead, parts), dim=3)
        return parts[0], parts[1], parts[2]

    def join(
        self, y: Tensor, grid: tuple[int, int], prompts: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Returns (B nW, h, w, C), projected, and the prompts' (B, P, C).

        Args:
            y: (B nW, n, P+N, d).
            grid: (h, w).
            prompts: As `project` got them, for their shape.
        """
        if prompts is not None:
            batch, count, _ = prompts.shape
            mean = y[:, :, :count].unflatten(0, (batch, -1)).mean(1)
            prompts = self.proj(mean.transpose(1, 2).flatten(2)[:, None])[:, 0]
            y = y[:, :, count:]
        return self.proj(y.transpose(1, 2).flatten(2).unflatten(1, grid)), prompts

    def _parts(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).flatten(1, 2).unflatten(2, (3, self.num_heads, -1))
        return parts.permute(2, 0, 3, 1, 4)  # (3, B, n, N, d)
