"""The last step of a CLIP image tower: from tokens to the space that image and text share.

B batch, N patch tokens, P prefix tokens, C channels, H x W grid, D width of the shared space.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class JointSpace(nn.Module):
    """Norms and projects all tokens of the last block.

    OpenAI's model projects the class token alone; DenseCLIP and ZegCLIP project all tokens.

    Args:
        channels: C.
        dims: D.
        num_prefix: P, tokens in front of the patches, the class token first.

    Shapes:
        tokens (B, P+N, C), grid (H, W) -> global (B, D) and dense (B, D, H, W), not normalised.

    Source: Radford et al., ICML 2021 (``ln_post`` and ``proj``).

    Example:
        >>> import torch
        >>> from rein_seg.encoders.plain_vit.joint import JointSpace
        >>> whole, dense = JointSpace(16, dims=8)(torch.zeros(2, 1 + 6, 16), (2, 3))
        >>> whole.shape, dense.shape
        (torch.Size([2, 8]), torch.Size([2, 8, 2, 3]))
    """

    def __init__(self, channels: int, *, dims: int, num_prefix: int = 1) -> None:
        super().__init__()
        self.dims, self.num_prefix = dims, num_prefix
        self.ln_post = nn.LayerNorm(channels)
        self.proj = nn.Parameter(torch.empty(channels, dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the projection as OpenAI's code does: outputs are about 1."""
        nn.init.normal_(self.proj, std=len(self.proj) ** -0.5)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Returns global and dense embedding."""
        tokens = self.ln_post(tokens) @ self.proj
        dense = tokens[:, self.num_prefix :].transpose(1, 2).unflatten(2, grid)
        return tokens[:, 0], dense
