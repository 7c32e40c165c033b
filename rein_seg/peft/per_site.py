"""The skeleton of methods that put one layer at each chosen site."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from rein_seg.peft.base import PEFTMethod
from rein_seg.structures import Anatomy, BranchSite, OpSite, Site, StreamSite


class SiteMethod(PEFTMethod):
    """Makes a layer for each site, hooks it; cannot be folded.

    Subclasses implement `find_sites` and `make_layer`. A layer is a module with the signature of
    the site's functions; see `PEFTMethod.hook`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()

    def find_sites(self, anatomy: Anatomy) -> Sequence[Site]:
        """Returns the sites, each once."""
        raise NotImplementedError

    def make_layer(self, site: Any) -> nn.Module:
        """Returns the layer of a site."""
        raise NotImplementedError

    def options(self, site: Any) -> dict[str, Any]:
        """Returns the options that a site is hooked with."""
        return {}

    def build(self, anatomy: Anatomy) -> None:
        """Makes the layers."""
        for site in self.find_sites(anatomy):
            self.layers[site_key(site)] = self.make_layer(site)

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks each layer to its site."""
        for site in self.find_sites(anatomy):
            self.hook(site, self.layers[site_key(site)], **self.options(site))


def site_key(site: Site) -> str:
    """Returns the name that a site's layer has in a `ModuleDict`, such as ``ffn_3``."""
    if isinstance(site, OpSite):
        return site.name.replace('.', '_')
    assert isinstance(site, (BranchSite, StreamSite))
    place = site.branch if isinstance(site, BranchSite) else site.where
    return f'{place}_{site.block}'


def residual_branches(
    anatomy: Anatomy, wanted: Iterable[str], *, blocks: Iterable[int] | None = None
) -> tuple[BranchSite, ...]:
    """Returns the branches that end in a residual sum, in forward order.

    Args:
        anatomy: The encoder's anatomy.
        wanted: attn, ffn or both. An encoder has those of its own kind: blocks of convolutions
            alone have no attn; where there is no ffn either, the branch conv stands for it.
        blocks: Block indexes; None takes all, negative ones count from the end.
    """
    there = {site.branch for site in anatomy.find(BranchSite, blocks=blocks)}
    chosen = there & set(wanted) or {'conv'}
    return anatomy.find(BranchSite, blocks=blocks, branch=chosen)
