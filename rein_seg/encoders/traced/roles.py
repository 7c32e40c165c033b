"""Roles of the operations and norms of a block, from where they stand in it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from rein_seg.encoders.traced.attention import attention_roles, is_attention
from rein_seg.encoders.traced.blocks import Block
from rein_seg.encoders.traced.flow import Flow
from rein_seg.encoders.traced.record import Op

Kind = Literal['attn', 'ffn', 'conv']


@dataclass(frozen=True)
class Chain:
    """The operations of a branch, or of a block without a shortcut.

    Attributes:
        kind: attn, ffn or conv; a conv chain with ``tail`` ends in a feed-forward.
        ops: Its operations in order, without gates.
        gates: Operations of gates, which see a pooled map of 1 x 1.
        tail: Whether two pointwise operations behind a norm follow the spatial one (ConvNeXt).
    """

    kind: Kind
    ops: tuple[int, ...]
    gates: tuple[int, ...]
    tail: bool = False


def find_chain(flow: Flow, ops: Collection[int], *, with_attention: bool) -> Chain:
    """Returns the operations among functions and what they are together.

    Args:
        flow: The record.
        ops: Functions of a branch.
        with_attention: Whether the block has an attention in another branch.
    """
    operations = flow.operations(ops)
    gates = tuple(n for n in operations if _is_gate(flow, n))
    main = tuple(n for n in operations if n not in gates)
    if is_attention(flow, ops):
        return Chain('attn', main, gates)
    dense = [n for n in main if not is_pointwise(flow, n) and not is_depthwise(flow, n)]
    if with_attention and not dense:
        return Chain('ffn', main, gates)
    return Chain('conv', main, gates, tail=_has_tail(flow, main, ops))


def chain_roles(
    flow: Flow, chain: Chain, ops: Collection[int]
) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Returns function -> (role, parts) of the operations of a chain, found in ``ops``."""
    roles: dict[int, tuple[str, tuple[str, ...]]]
    if chain.kind == 'attn':
        roles = attention_roles(flow, ops, chain.ops)
    else:
        roles = {n: (role, ()) for n, role in _plain_roles(flow, chain).items()}
    gates = {n: (f'se{i}', ()) for i, n in enumerate(chain.gates, start=1)}
    return {**roles, **gates}


def _plain_roles(flow: Flow, chain: Chain) -> dict[int, str]:
    spatial = [n for n in chain.ops if is_depthwise(flow, n)]
    others = [n for n in chain.ops if n not in spatial]
    roles = dict.fromkeys(spatial, 'dw')
    if chain.kind == 'ffn' or chain.tail:
        return roles | {n: f'fc{i}' for i, n in enumerate(others, start=1)}
    dense = [n for n in others if not is_pointwise(flow, n)]
    if dense or not spatial:  # conv1 to conv3 of residual blocks
        return roles | {n: f'conv{i}' for i, n in enumerate(others, start=1)}
    first = 2 if len(others) == 1 and others[0] > spatial[0] else 1
    return roles | {n: f'pw{i}' for i, n in enumerate(others, start=first)}


def shortcut_ops(block: Block) -> set[int]:
    """Returns the functions on the shortcuts of a block."""
    return {n for found in block.sums for n in found.skip_ops}


def is_pointwise(flow: Flow, number: int) -> bool:
    """Returns whether an operation is a linear or a dense 1x1 convolution."""
    op = flow.record.ops[number]
    return op.name == 'linear' or (set(kernel(flow, op)) == {1} and groups(flow, op) == 1)


def is_depthwise(flow: Flow, number: int) -> bool:
    """Returns whether an operation is a convolution of each channel alone."""
    op = flow.record.ops[number]
    return op.name == 'conv2d' and weight_shape(flow, op)[1] == 1 and groups(flow, op) > 1


def is_spatial(flow: Flow, number: int) -> bool:
    """Returns whether an operation is a convolution larger than 1x1."""
    op = flow.record.ops[number]
    return op.name == 'conv2d' and set(kernel(flow, op)) != {1}


def weight_shape(flow: Flow, op: Op) -> tuple[int, ...]:
    """Returns the shape of an operation's weight, (D, C / groups, ...)."""
    return flow.record.weights[op.params[0]]


def kernel(flow: Flow, op: Op) -> tuple[int, ...]:
    """Returns the sides of a convolution's kernel."""
    return weight_shape(flow, op)[2:]


def groups(flow: Flow, op: Op) -> int:
    """Returns the groups of a convolution."""
    inputs = flow.record.shape(op.inputs[0])[1]
    return inputs // max(weight_shape(flow, op)[1], 1)


def _is_gate(flow: Flow, number: int) -> bool:
    op = flow.record.ops[number]
    shape = flow.record.shape(op.outputs[0])
    return len(shape) == 2 or (op.name == 'conv2d' and shape[-2:] == (1, 1))


def _has_tail(flow: Flow, main: tuple[int, ...], ops: Collection[int]) -> bool:
    """Returns whether a chain is spatial -> norm -> pointwise -> pointwise, with no other norm."""
    if len(main) != 3 or not is_spatial(flow, main[0]):
        return False
    if not all(is_pointwise(flow, n) for n in main[1:]):
        return False
    norms = flow.norms(ops)
    return len(norms) == 1 and main[0] < norms[0] < main[1]
