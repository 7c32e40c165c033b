"""CLIP's text tower.

K texts, T tokens, C width of the tower, D width of the space that image and text share.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError


class QuickGELU(nn.Module):
    """a sigmoid(1.702 a), which CLIP's towers use in place of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns the activation of any tensor."""
        return x * torch.sigmoid(1.702 * x)


_ACTS = {'quick_gelu': QuickGELU, 'gelu': nn.GELU}


class TextBlock(nn.Module):
    """A pre-norm block with causal attention."""

    def __init__(self, width: int, heads: int, hidden: int, act: nn.Module) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential()
        self.mlp.add_module('c_fc', nn.Linear(width, hidden))
        self.mlp.add_module('gelu', act)
        self.mlp.add_module('c_proj', nn.Linear(hidden, width))
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Returns the (K, T, C) sequence after the block.

        Args:
            x: (K, T, C).
            mask: (T, T), minus infinity where a token must not look.
        """
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class TextTower(nn.Module):
    """Turns tokens, or their embeddings, into embeddings of texts; not normalised.

    Names of tensors are those of OpenAI's files, without the image tower.

    Args:
        width: C.
        layers: Number of blocks.
        heads: Number of attention heads.
        dims: D.
        vocabulary: Number of token ids.
        context_length: Largest T.
        feedforward_channels: Channels inside of a block's MLP; default: 4 C.
        act: ``quick_gelu``, or ``gelu`` (OpenCLIP's towers, trained on LAION).

    Attributes:
        scale: Factor of cosines that the tower was trained with, exp(logit_scale) of its file; None
            where no file says it.

    Raises:
        UserError: If ``act`` is neither, or the heads do not divide C.

    Source: Radford et al., ICML 2021, Sec. 2.4.

    Example:
        >>> import torch
        >>> from rein_seg.text import TextTower
        >>> tower = TextTower(width=32, layers=2, heads=2, dims=16, vocabulary=100)
        >>> tower.encode_tokens(torch.tensor([[98, 5, 99, 0]])).shape
        torch.Size([1, 16])
    """

    scale: float | None = None

    def __init__(
        self,
        width: int = 512,
        layers: int = 12,
        heads: int = 8,
        dims: int = 512,
        *,
        vocabulary: int = 49408,
        context_length: int = 77,
        feedforward_channels: int | None = None,
        act: str = 'quick_gelu',
    ) -> None:
        super().__init__()
        if act not in _ACTS:
            raise UserError(f'text.tower.act={act!r}: expected one of {tuple(_ACTS)}; choose one')
        if heads < 1 or width % heads:
            raise UserError(
                f'text.tower.heads={heads}: expected a divisor of the width, {width}; change it'
            )
        self.act, self.heads = act, heads
        self.width, self.dims = width, dims
        self.vocabulary, self.context_length = vocabulary, context_length
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.zeros(context_length, width))
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(
            TextBlock(width, heads, feedforward_channels or 4 * width, _ACTS[act]())
            for _ in range(layers)
        )
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.zeros(width, dims))

    def encode_tokens(self, ids: Tensor) -> Tensor:
        """Returns the (K, D) embeddings of token ids, read at the largest id of each row.

        Args:
            ids: (K, T) int64; the end token has the largest id, zeros behind it do not matter.
        """
        return self.encode_embeddings(self.token_embedding(ids), ids.argmax(1))

    def encode_embeddings(self, embeddings: Tensor, end: Tensor) -> Tensor:
        """Returns the (K, D) embeddings of sequences of token embeddings and learned vectors.

        Args:
            embeddings: (K, T, C), without positions.
            end: (K,) place of the end token, whose output is the text's embedding.
        """
        length = embeddings.shape[1]
        x = embeddings + self.positional_embedding[:length]
        mask = torch.full((length, length), -torch.inf, dtype=x.dtype, device=x.device).triu(1)
        for block in self.transformer.resblocks:
            x = block(x, mask)
        x = self.ln_final(x[torch.arange(len(x), device=x.device), end])
        return x @ self.text_projection
