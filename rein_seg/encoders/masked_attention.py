"""Has the attention of an encoder's block obey the row mask of the running pass.

B batch, h heads, T tokens, M masked rows, d channels of a head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rein_seg.errors import UserError
from rein_seg.fast.dispatch import has_fast_form
from rein_seg.structures import RowMask, RunState


@has_fast_form('split_rows')
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


@dataclass(frozen=True)
class MaskedKeyword:
    """`SeqSite.masking` of an attention that takes a mask as an argument of its call.

    Attributes:
        module: The attention.
        name: Of the argument.
        form: The mask that the argument takes: `seen`, `added` or `hidden`.
        place: Number of arguments in front of it, where callers may leave out its name.
    """

    module: nn.Module
    name: str
    form: Callable[[RowMask, nn.Module, Tensor], Tensor]
    place: int | None = None

    def __call__(self, state: RunState) -> RemovableHandle:
        """Hands the mask of ``state`` to the attention."""
        given = GivenMask(self, state)
        return self.module.register_forward_pre_hook(given.on_input, with_kwargs=True)


def seen(rows: RowMask, attention: nn.Module, x: Tensor) -> Tensor:
    """Returns (B, 1, T, T) bool, True for tokens that are seen, as PyTorch's own function takes."""
    return rows.dense()[:, None]


def added(rows: RowMask, attention: nn.Module, x: Tensor) -> Tensor:
    """Returns (B, 1, T, T) numbers to add to the scores, 0 or minus infinity."""
    mask = seen(rows, attention, x)
    return torch.zeros_like(mask, dtype=x.dtype).masked_fill(~mask, float('-inf'))


def hidden(rows: RowMask, attention: nn.Module, x: Tensor) -> Tensor:
    """Returns (B h, T, T) bool, True for hidden tokens, as `nn.MultiheadAttention` takes."""
    return ~rows.dense().repeat_interleave(attention.num_heads, dim=0)


class GivenMask:
    """Hands the row mask of a pass to an attention, as an argument.

    Args:
        argument: The argument.
        state: With the mask.
    """

    def __init__(self, argument: MaskedKeyword, state: RunState) -> None:
        self.argument, self.state = argument, state

    def on_input(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Adds the argument.

        Raises:
            UserError: If the call has such a mask already.
        """
        rows, name, place = self.state.row_mask, self.argument.name, self.argument.place
        if rows is None:
            return None
        named = place is None or len(args) <= place
        if (kwargs.get(name) if named else args[place]) is not None:
            raise UserError(
                f'{type(module).__name__} is called with {name}, and a method inserts tokens with '
                f'a mask of their own: expected one mask; call the encoder without {name}, or take '
                'another method'
            )
        x = args[0] if args else next(iter(kwargs.values()))
        mask = self.argument.form(rows, module, x)
        if named:
            return args, {**kwargs, name: mask}
        return (*args[:place], mask, *args[place + 1 :]), kwargs
