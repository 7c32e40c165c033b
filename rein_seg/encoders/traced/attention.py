"""Roles of the operations of an attention: which of them make queries, keys and values."""

from __future__ import annotations

from collections.abc import Collection

from rein_seg.encoders.traced.flow import Flow

_FUSED = 'scaled_dot_product_attention'
_PRODUCTS = ('matmul', 'bmm', 'einsum')


def is_attention(flow: Flow, ops: Collection[int]) -> bool:
    """Returns whether functions hold an attention of tokens."""
    names = {flow.record.ops[n].name for n in ops}
    return _FUSED in names or ('softmax' in names and bool(names & set(_PRODUCTS)))


def attention_roles(flow: Flow, main: Collection[int]) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Returns function -> (role, parts) of an attention's operations."""
    raise NotImplementedError
