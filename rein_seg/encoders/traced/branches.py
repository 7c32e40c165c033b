"""STREAM and BRANCH sites of a block: its stream at both ends, and what is added to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from torch import nn

from rein_seg.encoders.traced.blocks import Block, Sum
from rein_seg.encoders.traced.flow import ARRANGING, Flow
from rein_seg.encoders.traced.grids import Grids
from rein_seg.encoders.traced.operations import Place, Refusals
from rein_seg.encoders.traced.record import Call
from rein_seg.encoders.traced.roles import Chain, is_spatial
from rein_seg.structures import BranchSite, Side, Site, StreamSite, Tap


@dataclass
class BlockSites:
    """Makes the STREAM and BRANCH sites of one block.

    Args:
        flow: The record.
        grids: Its layouts and grids.
        block: The block.
        place: Block, stage, depth, channels of its output.
        refusals: Takes reasons.
    """

    flow: Flow
    grids: Grids
    block: Block
    place: Place
    refusals: Refusals

    def __post_init__(self) -> None:
        self.runs = Counter(call.module for call in self.flow.record.calls)

    def tap(self, module: nn.Module, side: Side, value: int) -> Tap | None:
        """Returns a tap; None if its tensor's layout is not known, or the module runs twice."""
        layout = self.grids.layouts.of(value)
        if layout is None or self.runs[module] != 1:
            return None
        return Tap(module, side, layout, self.grids.of(value))

    def streams(self) -> tuple[list[Site], list[Site], list[Site]]:
        """Returns the sites in, mid and out."""
        module = self.flow.record.calls[self.block.call].module
        into = self.tap(module, 'input', self.block.input)
        out = self.tap(module, 'output', self.block.output)
        if into is None or out is None:
            self.refusals.add(StreamSite, 'the layout of its stream is not known', self.block.name)
            return [], [], []
        width = self.grids.layouts.channels(self.block.input) or 0
        first = StreamSite(*self.place[:3], width, 'in', (into,))
        last = StreamSite(*self.place, 'out', (out,))
        return [first], self._mid(out), [last]

    def _mid(self, out: Tap) -> list[Site]:
        if len(self.block.sums) != 2:
            return []
        flow = self.flow
        first, second = self.block.sums
        value = first.out
        ends = flow.same(self.block.output) == second.out
        entries = self._readers(value)
        tap = None
        if entries and entries[0].inputs[0] is not None:
            tap = self.tap(entries[0].module, 'input', entries[0].inputs[0])
        if not ends or second.base != value or tap is None:
            reason = 'the stream between its branches cannot be reached'
            self.refusals.add(StreamSite, reason, self.block.name)
            return []
        return [StreamSite(*self.place, 'mid', (tap, out))]

    def residual(self, found: Sum, kind: str) -> list[Site]:
        """Returns the BRANCH of a residual sum."""
        exits = self._exits(found)
        entry = self._entry(found)
        if exits is None or entry is None:
            self.refusals.add(BranchSite, 'an end of its branch cannot be reached', self.block.name)
            return []
        raw, normed = entry
        width = self.grids.layouts.channels(found.base) or 0
        if (
            self.flow.record.tensor(found.base).numel()
            != self.flow.record.tensor(found.branch).numel()
        ):
            reason = 'its branch changes width or size on the way'
            self.refusals.add(BranchSite, reason, self.block.name)
            return []
        ends = [tap.layout for tap in (raw, *exits) if tap is not None]
        if 'NLC' in ends and len(set(ends)) > 1:
            reason = 'its branch takes a map and gives tokens, or the other way round'
            self.refusals.add(BranchSite, reason, self.block.name)
            return []
        return [BranchSite(*self.place[:3], width, kind, raw, normed, *exits)]  # type: ignore[arg-type]

    def _entry(self, found: Sum) -> tuple[Tap, Tap | None] | None:
        """Returns the taps of the stream that enters a branch, and of its norm's output."""
        flow, record = self.flow, self.flow.record
        weighted = flow.weighted(found.branch_ops)
        normed = None
        if weighted and weighted[0] in flow.norms(found.branch_ops):
            call = record.calls[record.ops[weighted[0]].call]
            alone = call.output is not None and call.inputs[0] is not None
            if alone and flow.same(call.inputs[0]) in (found.base, flow.same(found.base)):
                raw = self.tap(call.module, 'input', call.inputs[0])
                normed = self.tap(call.module, 'output', call.output)
                if raw is not None and normed is not None and raw.layout == normed.layout:
                    return raw, normed
        if found.base == self.block.input:
            raw = self.tap(record.calls[self.block.call].module, 'input', found.base)
            return None if raw is None else (raw, self._first_norm(found))
        readers = self._readers(found.base)
        if not readers or readers[0].inputs[0] is None:
            return None
        raw = self.tap(readers[0].module, 'input', readers[0].inputs[0])
        return None if raw is None else (raw, None)

    def _readers(self, value: int) -> list[Call]:
        """Returns the calls in the block that get a value first, as it is or arranged anew."""
        flow, arranged = self.flow, [value]
        for reader in flow.readers[value]:
            op = flow.record.ops[reader]
            arranged += op.outputs if op.name in ARRANGING else ()
        return [call for each in arranged for call in flow.read_by(each, self.block.call)]

    def _first_norm(self, found: Sum) -> Tap | None:
        """Returns the norm in front of the feed-forward of a block that begins spatially."""
        norms = self.flow.norms(found.branch_ops)
        operations = self.flow.operations(found.branch_ops)
        if len(norms) != 1 or norms[0] > operations[1 if len(operations) > 1 else 0]:
            return None
        call = self.flow.record.calls[self.flow.record.ops[norms[0]].call]
        return None if call.output is None else self.tap(call.module, 'output', call.output)

    def _exits(self, found: Sum) -> tuple[Tap, Tap | None] | None:
        """Returns the taps of a branch's result before and after LayerScale."""
        last = self._made(found.branch)
        scale = self._scale(found.branch)
        if scale is None:
            return None if last is None else (last, None)
        before = self._made(scale)
        if before is None:
            return None if last is None else (last, None)
        return before, last

    def _made(self, value: int) -> Tap | None:
        """Returns a tap that holds ``value``, of the block's own part that ends there."""
        calls = self.flow.made_by(value, self.block.call)
        for call in reversed(calls):
            tap = self.tap(call.module, 'output', value)
            if tap is not None:
                return tap
        return None

    def _scale(self, value: int) -> int | None:
        """Returns the value before LayerScale, a product with a vector of parameters."""
        op = self.flow.record.maker(self.flow.same(value))
        scaled = op is not None and op.name in ('mul', 'rmul', 'imul')
        if op is None or not scaled:
            return None
        behind = self.flow.behind(op.outputs[0], self.flow.dependent(op))[0]
        gammas = {name for n in behind for name in self.flow.record.ops[n].params}
        if len(gammas) != 1 or len(self.flow.dependent(op)) != 1:
            return None
        value = self.flow.dependent(op)[0]
        while not self.flow.made_by(value, self.block.call):
            maker = self.flow.record.maker(value)
            if maker is None or not self.flow.dependent(maker) or self.flow.same(value) == value:
                return None
            value = self.flow.dependent(maker)[0]
        return value

    def spatial(self, chain: Chain) -> list[Site]:
        """Returns the BRANCH conv of a chain: beside its (last but one) spatial convolution."""
        flow, record = self.flow, self.flow.record
        spatial = [n for n in chain.ops if is_spatial(flow, n)]
        if not spatial:
            return []
        # of several, the one that has the stride
        chosen = max(spatial, key=lambda n: self._stride(n))
        if chosen == chain.ops[-1] and len(spatial) > 1 and self._stride(chosen) == 1:
            chosen = spatial[-2]
        call = record.calls[record.ops[chosen].call]
        if not isinstance(call.module, nn.Conv2d) or call.output not in record.ops[chosen].outputs:
            return []
        conv = call.module
        assert call.inputs[0] is not None and call.output is not None
        entry = self.tap(conv, 'input', call.inputs[0])
        end = self._behind(chain, chosen, call)
        if entry is None or end is None:
            return []
        return [
            BranchSite(
                *self.place[:3],
                conv.in_channels,
                'conv',
                entry_raw=entry,
                entry_norm=None,
                exit_pre=end,
                exit_post=None,
                conv=conv,
            )
        ]

    def _stride(self, number: int) -> int:
        record = self.flow.record
        module = record.calls[record.ops[number].call].module
        return int(module.stride[0]) if isinstance(module, nn.Conv2d) else 1

    def _behind(self, chain: Chain, chosen: int, call: Call) -> Tap | None:
        """Returns the input of the next operation, or the convolution's output."""
        assert call.output is not None
        later = [n for n in chain.ops if n > chosen]
        if later and not chain.tail:
            record = self.flow.record
            following = record.calls[record.ops[later[0]].call]
            value = following.inputs[0] if following.inputs else None
            if value is not None and self._same_size(value, call.output):
                return self.tap(following.module, 'input', value)
        return self.tap(call.module, 'output', call.output)

    def _same_size(self, first: int, second: int) -> bool:
        shape = self.flow.record.shape
        return shape(first) == shape(second)
