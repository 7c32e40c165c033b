"""The context decoder of DenseCLIP: words look at the image.

B batch, K classes, M tokens of the image, D width of the space that image and text share, C width
of the decoder.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.errors import UserError


class Attention(nn.Module):
    """Multi-head attention whose queries, keys and values have no bias.

    Args:
        dims: C.
        num_heads: Number of heads; divides C.
        dropout: Of the output.

    Shapes:
        (B, K, C) tokens, (B, M, C) memory -> (B, K, C).
    """

    def __init__(self, dims: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = nn.Linear(dims, dims, bias=False)
        self.k_proj = nn.Linear(dims, dims, bias=False)
        self.v_proj = nn.Linear(dims, dims, bias=False)
        self.proj = nn.Linear(dims, dims)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Returns what the tokens read from the memory."""
        q, k, v = (
            proj(y).unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, heads, ., C / heads)
            for proj, y in ((self.q_proj, x), (self.k_proj, memory), (self.v_proj, memory))
        )
        read = F.scaled_dot_product_attention(q, k, v)
        return self.dropout(self.proj(read.transpose(1, 2).flatten(2)))


class DecoderLayer(nn.Module):
    """Self-attention, attention to the image, and an MLP of four times the width; all pre-norm.

    Args:
        dims: C.
        num_heads: Number of heads; divides C.
        dropout: Of each branch, and inside the MLP.

    Shapes:
        (B, K, C) tokens, (B, M, C) memory -> (B, K, C).
    """

    def __init__(self, dims: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(dims, num_heads, dropout)
        self.cross_attn = Attention(dims, num_heads, dropout)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dims) for _ in range(3))
        self.mlp = nn.Sequential(
            nn.Linear(dims, 4 * dims), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * dims, dims)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Returns the tokens after the layer."""
        normed = self.norm1(x)
        x = x + self.self_attn(normed, normed)
        x = x + self.cross_attn(self.norm2(x), memory)
        return x + self.dropout(self.mlp(self.norm3(x)))


class ContextDecoder(nn.Module):
    """Computes, for each image, the part that is added to the embeddings of the classes.

    Args:
        in_dims: D.
        embed_dims: C.
        num_heads: Number of heads; divides C.
        num_layers: Number of layers.
        dropout: In each layer.

    Shapes:
        (B, K, D) text, (B, M, D) image -> (B, K, D).

    Raises:
        UserError: If the heads do not divide C.

    Source: Rao et al., "DenseCLIP" (CVPR 2022), Sec. 3.3; sizes, norms and names of the official
    code. Differs from it: none.

    Example:
        >>> import torch
        >>> from rein_seg.necks.pixel_text import ContextDecoder
        >>> decoder = ContextDecoder(16, embed_dims=8, num_heads=2)
        >>> decoder(torch.zeros(2, 3, 16), torch.zeros(2, 25, 16)).shape
        torch.Size([2, 3, 16])
    """

    def __init__(
        self,
        in_dims: int,
        embed_dims: int = 256,
        *,
        num_heads: int = 4,
        num_layers: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise UserError(
                f'PixelTextNeck embed_dims={embed_dims}, num_heads={num_heads}: expected a width '
                f'that the heads divide; take embed_dims={num_heads * -(-embed_dims // num_heads)}'
            )
        self.memory_proj = nn.Sequential(
            nn.LayerNorm(in_dims), nn.Linear(in_dims, embed_dims), nn.LayerNorm(embed_dims)
        )
        self.text_proj = nn.Sequential(nn.LayerNorm(in_dims), nn.Linear(in_dims, embed_dims))
        self.decoder = nn.ModuleList(
            DecoderLayer(embed_dims, num_heads, dropout) for _ in range(num_layers)
        )
        self.out_proj = nn.Sequential(nn.LayerNorm(embed_dims), nn.Linear(embed_dims, in_dims))
        self.apply(_draw)

    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        """Returns the part to add to each class, for each image."""
        memory = self.memory_proj(image)
        x = self.text_proj(text)
        for layer in self.decoder:
            x = layer(x, memory)
        return self.out_proj(x)


def _draw(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
