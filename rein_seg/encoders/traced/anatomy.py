"""The anatomy of a network of stages, from the record of one forward pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from rein_seg.encoders.traced.attention import Roles
from rein_seg.encoders.traced.blocks import Block, find_blocks, parallel_operations
from rein_seg.encoders.traced.branches import BlockSites
from rein_seg.encoders.traced.flow import Flow, nearest_operations
from rein_seg.encoders.traced.grids import Grids
from rein_seg.encoders.traced.layouts import Layouts
from rein_seg.encoders.traced.operations import Place, Refusals, norm_site, op_site
from rein_seg.encoders.traced.params import nearest, used_params
from rein_seg.encoders.traced.record import Record, record
from rein_seg.encoders.traced.roles import chain_roles, find_chain, shortcut_ops
from rein_seg.errors import UserError
from rein_seg.structures import Anatomy, BranchSite, OpSite, SeqSite, Site, StreamSite


def traced_anatomy(
    network: nn.Module,
    *,
    family: str,
    strides: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    image: nn.Module | None = None,
) -> Anatomy:
    """Returns the anatomy of a network that returns a list of maps (B, C, H, W).

    Args:
        network: The network; it is left as it was.
        family: Name for messages.
        strides: Stride of each map in pixels.
        sizes: (H, W) of the images to try; the first one that the network takes is used.
        image: Module of the network whose output is the image, for networks of tokens.

    Raises:
        UserError: If the network takes none of the sizes.
    """
    return _Tracer(network, Flow(_record(network, sizes)), family).anatomy(strides, image)


def _record(network: nn.Module, sizes: Sequence[tuple[int, int]]) -> Record:
    device = next(network.parameters()).device
    error: Exception | None = None
    for size in sizes:
        image = torch.zeros(1, 3, *size, device=device)
        if device.type != 'meta':
            image.normal_(generator=torch.Generator(device).manual_seed(0))
        try:
            return record(network, image)
        except (AssertionError, RuntimeError, ValueError) as failed:
            error = failed
    raise UserError(f'the network takes no image of {list(sizes)} (height, width): {error}')


# roles of operations whose norms are inside an attention
_INSIDE = {'q', 'k', 'v', 'qkv', 'kv', 'qk', 'sr'}


@dataclass
class _Tracer:
    network: nn.Module
    flow: Flow
    family: str
    refusals: Refusals = field(default_factory=Refusals)

    def __post_init__(self) -> None:
        self.layouts = Layouts(self.flow)
        self.grids = Grids(self.flow, self.layouts, self.family)
        self.blocks = self._staged(find_blocks(self.flow))
        self.places = self._places()
        self.residual = any(block.sums for block in self.blocks)
        self.parallel = set() if self.residual else parallel_operations(self.flow)

    def anatomy(self, strides: Sequence[int], image: nn.Module | None) -> Anatomy:
        """Returns the anatomy."""
        outputs = self.flow.record.outputs
        depths = [0] * (1 + max((b.stage for b in self.blocks), default=0))
        widths = [0] * len(depths)
        for block in self.blocks:
            depths[block.stage] += 1
            widths[block.stage] = self.layouts.channels(block.output) or 0
        params: list[Site] = list(used_params(self.flow, self.network, self._place))
        sites = [*params, *self._sites()]
        self._explain(sites)
        largest = max(strides)
        return Anatomy(
            family=self.family,
            sites=tuple(sites),
            num_prefix=0,
            patch_size=max(1, largest // 2 ** (len(depths) - 1)),
            out_channels=tuple(self.flow.record.shape(value)[1] for value in outputs),
            out_strides=tuple(strides),
            stage_depths=tuple(depths),
            stage_channels=tuple(widths),
            grid_module=image,
            least_side=max(largest, self._least_side()),
            refused=self.refusals.listed(),
        )

    def _least_side(self) -> int:
        """Returns the side in pixels that a convolution without padding needs at least."""
        record, least = self.flow.record, 1
        for number in self.flow.operations(self.flow.used):
            module = record.calls[record.ops[number].call].module
            plain = isinstance(module, nn.Conv2d) and module.padding == (0, 0)
            shape = record.shape(record.ops[number].inputs[0])
            if plain and max(module.kernel_size) > 1 and len(shape) == 4:
                step = -(-record.shape(record.image)[2] // shape[2])
                least = max(least, max(module.kernel_size) * step)
        return least

    def _staged(self, blocks: list[Block]) -> list[Block]:
        """Returns the blocks with their stages: one ends where an output of the network is made."""
        record = self.flow.record
        ends = sorted({self._end(value) for value in self._levels()})
        stages = [sum(end < record.calls[block.call].start for end in ends) for block in blocks]
        numbers = {stage: index for index, stage in enumerate(sorted(set(stages)))}
        return [
            replace(block, stage=numbers[stage])
            for block, stage in zip(blocks, stages, strict=True)
        ]

    def _levels(self) -> Sequence[int]:
        """Returns the outputs of the network, of all stages that it computes."""
        inner = [call.outputs for call in self.flow.record.calls if call.parent == 0]
        return max([self.flow.record.outputs, *inner], key=len)

    def _end(self, value: int) -> int:
        return self.flow.record.values[self.flow.same(value)].op

    def _places(self) -> dict[str, Place]:
        places: dict[str, Place] = {}
        counts: dict[int, int] = {}
        for index, block in enumerate(self.blocks):
            depth = counts[block.stage] = counts.get(block.stage, -1) + 1
            width = self.layouts.channels(block.output) or 0
            places[block.name] = (index, block.stage, depth, width)
        return places

    def _place(self, name: str) -> Place:
        return nearest(self.places, name, (-1, -1, -1, -1))

    def _sites(self) -> list[Site]:
        """Returns all sites but parameters, in the order of the pass."""
        record = self.flow.record
        used = self.flow.used
        sites: list[Site] = []
        start = 0
        for block in self.blocks:
            call = record.calls[block.call]
            sites += self._between(used & set(range(start, call.start)), block)
            sites += self._block_sites(block, used & set(range(call.start, call.stop)))
            start = call.stop
        sites += self._between(used & set(range(start, len(record.ops))), None)
        return sites

    def _between(self, ops: set[int], following: Block | None) -> list[Site]:
        """Returns the sites in front of a block, or behind the last."""
        operations = self.flow.operations(ops)
        if not self.blocks or following == self.blocks[0]:
            role = 'patch' if len(operations) == 1 and self._patchifies(operations[0]) else 'stem'
            norm_role, stage = role, 0
        elif following is None:
            role, norm_role, stage = 'final', 'final', self.blocks[-1].stage
        else:
            role, norm_role, stage = 'merge', 'merge', following.stage
        place = (-1, stage, -1, -1)
        roles: dict[int, tuple[str, tuple[str, ...]]] = dict.fromkeys(operations, (role, ()))
        roles |= dict.fromkeys(self.flow.norms(ops), (norm_role, ()))
        return self._made(roles, place)

    def _patchifies(self, number: int) -> bool:
        record = self.flow.record
        op = record.ops[number]
        before, after = record.shape(op.inputs[0]), record.shape(op.outputs[0])
        return op.name == 'conv2d' and before[-1] >= 4 * after[-1]

    def _block_sites(self, block: Block, ops: set[int]) -> list[Site]:
        place = self.places[block.name]
        makes = BlockSites(self.flow, self.grids, block, place, self.refusals)
        into, mid, out = makes.streams() if self.residual else ([], [], [])
        made = {n for found in block.sums for n in found.branch_ops}
        skipped = shortcut_ops(block) - made
        roles: dict[int, tuple[str, tuple[str, ...]]] = {}
        branches: list[Site] = []
        parts: list[Any] = [found.branch_ops for found in block.sums] or [ops]
        kinds = [find_chain(self.flow, part, with_attention=False).kind for part in parts]
        for index, part in enumerate(parts):
            attends = any(kind == 'attn' for kind in kinds)
            chain = find_chain(self.flow, part, with_attention=attends)
            roles |= chain_roles(self.flow, chain, part)
            if chain.kind == 'conv' and self.residual:
                branches += makes.spatial(chain)
            if block.sums and (chain.kind != 'conv' or chain.tail):
                branches += makes.residual(
                    block.sums[index], 'attn' if chain.kind == 'attn' else 'ffn'
                )
        roles |= dict.fromkeys(self.flow.operations(skipped & ops), ('downsample', ()))
        missing = [n for n in self.flow.operations(ops) if n not in roles]
        roles |= dict.fromkeys(missing, ('other', ()))
        roles |= self._norm_roles(ops, skipped, roles)
        return [*into, *self._made(roles, place), *branches, *mid, *out]

    def _norm_roles(self, ops: set[int], skipped: set[int], known: Roles) -> Roles:
        roles: Roles = {}
        norms = self.flow.norms(ops)
        own = 0
        for number in norms:
            value = self.flow.record.ops[number].inputs[0]
            before = {known[n][0] for n in nearest_operations(self.flow, value, ops) if n in known}
            if number in skipped and not before - {'downsample'}:
                roles[number] = ('downsample', ())
            elif before & _INSIDE:
                roles[number] = ('sr' if 'sr' in before else 'attn_norm', ())
            else:
                own += 1
                roles[number] = (f'norm{own}', ())
        return roles

    def _made(self, roles: dict[int, tuple[str, tuple[str, ...]]], place: Place) -> list[Site]:
        sites: list[Site] = []
        for number, (role, parts) in sorted(roles.items()):
            norm = number in self.flow.norms([number])
            make = norm_site if norm else op_site
            if number in self.parallel:
                name = self.flow.record.calls[self.flow.record.ops[number].call].name
                self.refusals.add(OpSite, 'it is one of parallel operations with one sum', name)
                continue
            own = place
            if place[0] < 0:
                width = self.flow.record.weights[self.flow.record.ops[number].params[0]][0]
                own = (*place[:3], width)
            site: Any = make(self.flow, self.grids, number, role, own, self.refusals)
            if site is not None and parts:
                width = site.module.weight.shape[0] // len(parts)
                slices = tuple((p, i * width, (i + 1) * width) for i, p in enumerate(parts))
                site = replace(site, parts=slices)
            if site is not None and site.name not in {s.name for s in sites if hasattr(s, 'name')}:
                sites.append(site)
        return sites

    def _explain(self, sites: Sequence[Site]) -> None:
        self._explain_operations({site.name for site in sites if isinstance(site, OpSite)})
        if not self.residual:
            reason = 'no module of the network adds a branch to a stream'
            for kind in (StreamSite, BranchSite):
                self.refusals.add(kind, reason, type(self.network).__name__)
        reason = 'its blocks work on maps, where tokens cannot be inserted'
        if any(self.layouts.of(block.input) == 'NLC' for block in self.blocks):
            reason = 'its blocks make maps of their tokens, where none can be inserted'
        self.refusals.add(SeqSite, reason, type(self.network).__name__)

    def _explain_operations(self, known: set[str]) -> None:
        """Says why the other linears and convolutions that run have no sites."""
        known = known.union(*self.refusals.reasons.values())
        for call in self.flow.record.calls:
            if isinstance(call.module, (nn.Linear, nn.Conv2d)) and call.name not in known:
                seen = bool(call.inputs) and call.inputs[0] in self.flow.seen
                why = 'does not use its weight as it is' if seen else 'does not see the image'
                if self.flow.used & set(range(call.start, call.stop)):
                    self.refusals.add(OpSite, f'{type(call.module).__name__} {why}', call.name)


def probe_sizes(strides: Sequence[int], divisor: int = 1) -> list[tuple[int, int]]:
    """Returns small image sizes that are not square; the last map has 2 x 3 places, or more.

    Example:
        >>> from rein_seg.encoders.traced.anatomy import probe_sizes
        >>> probe_sizes((4, 8, 16, 32))
        [(64, 96)]
    """
    step = math.lcm(max(strides), divisor)
    return [(2 * step, 3 * step)]
