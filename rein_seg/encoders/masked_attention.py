"""Has the attention of an encoder's block obey the row mask of the running pass.

B batch, h heads, T tokens, M masked rows, d channels of a head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from rein_seg.structures import RowMask, RunState


def attend(
    attention: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, rows: RowMask, **options: Any
) -> Tensor:
    """Returns (B, h, T, d) of an attention whose named rows see their allowed tokens alone.

    Args:
        attention: ``(q, k, v, attn_mask=..., **options) -> output``, as PyTorch's
            `scaled_dot_product_attention`.
        q: (B, h, T, d) queries.
        k: Keys, alike.
        v: Values, alike.
        rows: The mask.
        **options: Further arguments of ``attention``.

    Example:
        >>> import torch
        >>> import torch.nn.functional as F
        >>> from rein_seg.encoders.masked_attention import attend
        >>> from rein_seg.structures import RowMask
        >>> v = torch.tensor([1.0, 2.0, 6.0]).view(1, 1, 3, 1)
        >>> q = torch.zeros_like(v)
        >>> rows = RowMask(0, torch.tensor([[[False, True, False]]]))
        >>> attend(F.scaled_dot_product_attention, q, q, v, rows).flatten()
        tensor([2., 3., 3.])
    """
    return attention(q, k, v, attn_mask=rows.dense()[:, None], **options)


@dataclass(frozen=True)
class MaskedFunction:
    """`SeqSite.masking` of an attention that calls a function which is its own attribute.

    Attributes:
        module: The attention.
        name: Of the attribute, a function with the arguments of PyTorch's
            `scaled_dot_product_attention`.
    """

    module: nn.Module
    name: str

    def __call__(self, state: RunState) -> ObeyingFunction:
        """Puts a function that obeys the mask of ``state`` in the attribute's place."""
        obeying = ObeyingFunction(self.module, self.name, getattr(self.module, self.name), state)
        setattr(self.module, self.name, obeying)
        return obeying


class ObeyingFunction:
    """The attention function of a module, with the row mask of a pass.

    Args:
        module: The attention.
        name: Of the attribute.
        plain: The function that was there.
        state: With the mask.
    """

    def __init__(
        self, module: nn.Module, name: str, plain: Callable[..., Tensor], state: RunState
    ) -> None:
        self.module, self.name, self.plain, self.state = module, name, plain, state

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        """Returns (B, h, T, d)."""
        rows = self.state.row_mask
        if rows is None:
            return self.plain(q, k, v, **options)
        return attend(self.plain, q, k, v, rows, **options)

    def remove(self) -> None:
        """Puts the former function back, also from below functions that were put in later."""
        at = getattr(self.module, self.name)
        if at is self:
            setattr(self.module, self.name, self.plain)
            return
        while at.plain is not self:
            at = at.plain
        at.plain = self.plain
