"""OP and NORM sites: the linears, convolutions and norms that a method can act on.

A method computes with an operation's weight, so the module's output must be the plain operation of
its input (or of its padded input) and the weight a parameter; anything else is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from rein_seg.encoders.traced.flow import Flow
from rein_seg.encoders.traced.grids import Grids
from rein_seg.encoders.traced.padding import pad_same, same_amounts
from rein_seg.encoders.traced.record import Call, Op
from rein_seg.structures import NormSite, OpSite, Site, Tap

Place = tuple[int, int, int, int]


@dataclass
class Refusals:
    """Why some places are no sites: kind of site -> reason -> names of modules."""

    reasons: dict[tuple[type[Site], str], list[str]] = field(default_factory=dict)

    def add(self, kind: type[Site], reason: str, name: str) -> None:
        """Notes a reason for one module."""
        self.reasons.setdefault((kind, reason), []).append(name)

    def listed(self) -> tuple[tuple[type[Site], str], ...]:
        """Returns (kind, reason), each with the first module and the number of modules."""
        return tuple(
            (
                kind,
                f'{names[0]}{f" and {len(names) - 1} more" if len(names) > 1 else ""}: {reason}',
            )
            for (kind, reason), names in self.reasons.items()
        )


def op_site(
    flow: Flow, grids: Grids, number: int, role: str, place: Place, refusals: Refusals
) -> OpSite | None:
    """Returns the OP site of a recorded linear or convolution; None if it is refused.

    Args:
        flow: The record.
        grids: Its layouts and grids.
        number: Index of the function.
        role: Role of the site.
        place: Block, stage, depth, channels.
        refusals: Takes the reason of a refusal.
    """
    op = flow.record.ops[number]
    call, name = holder(flow, op)
    module: Any = flow.record.calls[op.call].module if call is None else call.module
    reason = _why_not(flow, op, call)
    layout = None if call is None or call.output is None else grids.layouts.of(call.output)
    if reason is None and layout is None:
        reason = 'it is not known which dimension of its output are the channels'
    if reason is not None:
        refusals.add(OpSite, reason, name)
        return None
    assert call is not None and call.output is not None and layout is not None
    padded = _padded(flow, op, call)
    tap = Tap(module, 'output', layout, grids.of(call.output))
    return OpSite(*place, role, name, tap, padding=pad_same if padded else None)


def holder(flow: Flow, op: Op) -> tuple[Call | None, str]:
    """Returns the call of the module that holds the weight, if it runs, and the module's name."""
    weight = next((name for name in op.params if name.endswith('weight')), op.params[0])
    name = weight.rpartition('.')[0]
    call = flow.record.calls[op.call]
    return (call if call.name == name else None), name


def _why_not(flow: Flow, op: Op, call: Call | None) -> str | None:
    if call is None:
        return 'the weight is used without a call of its module'
    kinds = (nn.Linear, nn.Conv2d)
    if not isinstance(call.module, kinds) or f'{call.name}.weight' not in op.params:
        return f'{type(call.module).__name__} does not use its weight as it is'
    if call.output not in op.outputs:
        return f'{type(call.module).__name__} goes on behind its operation'
    if op.operands[0] != call.inputs[0] and not _padded(flow, op, call):
        return f'{type(call.module).__name__} changes its input first'
    return None


def _padded(flow: Flow, op: Op, call: Call) -> bool:
    """Returns whether the input is padded as `pad_same` pads it."""
    given, first = op.operands[0], call.inputs[0]
    if given == first or given is None or first is None:
        return False
    pad, conv = flow.record.maker(given), call.module
    if pad is None or pad.name != 'pad' or first not in pad.inputs or conv.padding != (0, 0):
        return False
    height, width = flow.record.shape(first)[-2:]
    amounts = tuple(pad.args[0][1]) if len(pad.args[0]) > 1 else ()
    return amounts == same_amounts(conv, (height, width))


def norm_site(
    flow: Flow, grids: Grids, number: int, role: str, place: Place, refusals: Refusals
) -> NormSite | None:
    """Returns the NORM site of a recorded norm; None if it is refused. Arguments as `op_site`."""
    op = flow.record.ops[number]
    call, name = holder(flow, op)
    if call is None:
        refusals.add(NormSite, 'the weight is used without a call of its module', name)
        return None
    if {f'{name}.weight', f'{name}.bias'} - set(op.params):
        refusals.add(NormSite, 'the norm has no weight or no bias', name)
        return None
    tap, out = _norm_tap(flow, op, call)
    layout = None if out is None else grids.layouts.of(out)
    width = flow.record.calls[op.call].module.weight.shape[0]  # type: ignore[index]
    if tap is None or layout is None or out is None or grids.layouts.channels(out) != width:
        refusals.add(NormSite, 'its output in front of what follows cannot be changed', name)
        return None
    where = Tap(tap, 'output', layout, grids.of(out))
    norm = None if tap is call.module else call.module
    return NormSite(*place[:3], int(width), role, name, where, norm)


def _norm_tap(flow: Flow, op: Op, call: Call) -> tuple[nn.Module | None, int | None]:
    """Returns the module whose output is the norm's, and the value: the norm, or a part of it."""
    made = op.outputs[0]
    if call.output is not None and flow.same(call.output) == made:
        return call.module, call.output
    number = flow.record.calls.index(call)
    parts = flow.made_by(made, number)  # such as an identity in front of the activation
    return (parts[0].module, made) if parts else (None, None)
