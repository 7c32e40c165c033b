"""SAM's two-way transformer: tokens and image attend to each other. Official parameter names.

B batch, T tokens, N = H W image positions, C channels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention with an inner width that may be a fraction of the outer width.

    Args:
        embed_dims: C.
        num_heads: Heads.
        downsample: C over the inner width.

    Shapes:
        query (B, S, C), key and value (B, R, C) -> (B, S, C).
    """

    def __init__(self, embed_dims: int, num_heads: int, downsample: int = 1) -> None:
        super().__init__()
        inner = embed_dims // downsample
        self.num_heads = num_heads
        self.q_proj = nn.Linear(embed_dims, inner)
        self.k_proj = nn.Linear(embed_dims, inner)
        self.v_proj = nn.Linear(embed_dims, inner)
        self.out_proj = nn.Linear(inner, embed_dims)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Returns the (B, S, C) weighted sums of the values."""
        q, k, v = (
            project(x).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for project, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        read = F.scaled_dot_product_attention(q, k, v)  # (B, heads, S, d)
        return self.out_proj(read.transpose(1, 2).flatten(2))


class FFN(nn.Module):
    """Two linears with a ReLU between."""

    def __init__(self, embed_dims: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(embed_dims, hidden)
        self.lin2 = nn.Linear(hidden, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, T, C) of (B, T, C)."""
        return self.lin2(F.relu(self.lin1(x)))


class TwoWayBlock(nn.Module):
    """Tokens attend to each other, then to the image; the image attends to them. Post-norm.

    Args:
        embed_dims: C.
        num_heads: Heads of each attention.
        hidden: Width of the tokens' FFN.
        downsample: C over the inner width of the attentions between tokens and image.
        norm_eps: Epsilon of the norms.
        first: Whether this is the first block: there the tokens attend to each other without
            positions and residual.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        hidden: int,
        downsample: int,
        norm_eps: float,
        first: bool,
    ) -> None:
        super().__init__()
        self.self_attn = Attention(embed_dims, num_heads)
        self.norm1 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.cross_attn_token_to_image = Attention(embed_dims, num_heads, downsample)
        self.norm2 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.mlp = FFN(embed_dims, hidden)
        self.norm3 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.norm4 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.cross_attn_image_to_token = Attention(embed_dims, num_heads, downsample)
        self.first = first

    def forward(
        self, tokens: Tensor, image: Tensor, token_places: Tensor, image_places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the tokens (B, T, C) and the image (B, N, C) after the block."""
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + token_places
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        keys = image + image_places
        tokens = tokens + self.cross_attn_token_to_image(tokens + token_places, keys, image)
        tokens = self.norm2(tokens)
        tokens = self.norm3(tokens + self.mlp(tokens))
        read = self.cross_attn_image_to_token(keys, tokens + token_places, tokens)
        return tokens, self.norm4(image + read)


class TwoWayTransformer(nn.Module):
    """A stack of `TwoWayBlock`, then a last attention of the tokens to the image.

    Args:
        embed_dims: C.
        depth: Blocks.
        num_heads: Heads of each attention.
        hidden: Width of the FFNs.
        downsample: C over the inner width of attentions between tokens and image.
        norm_eps: Epsilon of the norms in the blocks. The last norm has 1e-5 in both published
            codes.

    Shapes:
        tokens (B, T, C), image (B, N, C), image_places (1, N, C) -> tokens and image. The incoming
        tokens are their own positions.

    Source: Kirillov et al., "Segment Anything" (ICCV 2023), appendix A.
    """

    def __init__(
        self,
        embed_dims: int,
        *,
        depth: int = 2,
        num_heads: int = 8,
        hidden: int = 2048,
        downsample: int = 2,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayBlock(
                embed_dims,
                num_heads,
                hidden=hidden,
                downsample=downsample,
                norm_eps=norm_eps,
                first=index == 0,
            )
            for index in range(depth)
        )
        self.final_attn_token_to_image = Attention(embed_dims, num_heads, downsample)
        self.norm_final_attn = nn.LayerNorm(embed_dims, eps=1e-5)

    def forward(self, tokens: Tensor, image: Tensor, image_places: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the tokens and the image."""
        places = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, places, image_places)
        read = self.final_attn_token_to_image(tokens + places, image + image_places, image)
        return self.norm_final_attn(tokens + read), image
