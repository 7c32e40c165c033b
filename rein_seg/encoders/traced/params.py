"""PARAM sites: the parameters that a network's outputs depend on, and whose call uses each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from torch import nn

from rein_seg.encoders.sites import Place, param_sites
from rein_seg.encoders.traced.flow import NORMS, Flow
from rein_seg.structures import ParamSite


def used_params(
    flow: Flow, network: nn.Module, place_of: Callable[[str], Place]
) -> list[ParamSite]:
    """Returns the PARAM sites in the order of the parameters' names in the network.

    Args:
        flow: The record.
        network: The network.
        place_of: Name of a module -> block, stage, depth, channels.
    """
    users: dict[str, set[int]] = defaultdict(set)
    norms: set[str] = set()
    for number in flow.used:
        op = flow.record.ops[number]
        for name in op.params:
            users[name].add(op.call)
        norms |= set(op.params if op.name in NORMS else ())
    modules = dict(network.named_modules())
    sites = []
    for site in param_sites(network, {}):
        if site.name in users:
            user = modules[_common(flow, users[site.name])]
            place = place_of(site.name.rpartition('.')[0])
            role = site.role
            if site.name in norms:
                role = 'norm_bias' if site.name.endswith('bias') else 'norm'
            width = site.channels if place[0] < 0 else place[3]
            own = None if user is site.owner else user
            sites.append(ParamSite(*place[:3], width, site.name, role, site.param, site.owner, own))
    return sites


def _common(flow: Flow, calls: set[int]) -> str:
    """Returns the name of the innermost module in whose call all of ``calls`` run."""
    calls = set(calls)
    first = min(calls)
    while not all(flow.record.inside(call, first) for call in calls):
        first = flow.record.calls[first].parent
    return flow.record.calls[first].name


def nearest(places: Mapping[str, Place], name: str, outside: Place) -> Place:
    """Returns the place of the block that a module is in."""
    while name:
        if name in places:
            return places[name]
        name = name.rpartition('.')[0]
    return outside
