"""The skeleton of methods that put one layer at each chosen site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.choose import check_operations, find_operations, target_names
from rein_seg.structures import Anatomy, BranchSite, OpSite, Site, StreamSite

ALL_LINEARS = (
    *('q', 'k', 'v', 'proj', 'fc1', 'fc2', 'fc3'),
    *('conv1', 'conv2', 'conv3', 'pw1', 'pw2'),
)


class LayerMethod(PEFTMethod):
    """Finds sites, makes a layer for each, hooks it there and merges it.

    Subclasses implement `find_sites` and `make_layer`. A layer is a module with the signature that
    `PEFTMethod.hook` names for its site. If the method can be merged, a layer has ``merge(site)``,
    which writes the layer into the weights at the site.

    Args:
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Attributes:
        layers_name: Attribute that holds the layers, and the start of their names in files.
    """

    layers_name = 'layers'
    layers: nn.ModuleDict

    def __init__(self, blocks: Sequence[int] | None = None) -> None:
        super().__init__()
        self.blocks = tuple(blocks) if blocks is not None else None
        setattr(self, self.layers_name, nn.ModuleDict())

    def find_sites(self, anatomy: Anatomy) -> Sequence[Site]:
        """Returns the sites, each once."""
        raise NotImplementedError

    def make_layer(self, site: Any) -> nn.Module:
        """Returns the layer of a site."""
        raise NotImplementedError

    def hook_options(self, site: Any) -> dict[str, Any]:
        """Returns the options that the layer of a site is hooked with."""
        return {}

    def build(self, anatomy: Anatomy) -> None:
        """Makes the layers."""
        layers = getattr(self, self.layers_name)
        for site in self.find_sites(anatomy):
            layers[site_key(site)] = self.make_layer(site)

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks each layer to its site."""
        for site, layer in self.site_layers():
            self.hook(site, layer, **self.hook_options(site))

    def merge_into_weights(self) -> None:
        """Merges each layer into the weights at its site."""
        for site, layer in self.site_layers():
            layer.merge(site)

    def site_layers(self) -> Iterator[tuple[Any, Any]]:
        """Yields each site of the attached encoder and its layer."""
        assert self._anatomy is not None, 'site_layers() before attach()'
        layers = getattr(self, self.layers_name)
        yield from ((site, layers[site_key(site)]) for site in self.find_sites(self._anatomy))


class OperationMethod(LayerMethod):
    """A `LayerMethod` whose layers change the output of linears and convolutions.

    Args:
        targets: Operations by role (proj, fc1, fc2, dw, patch, ...) or by the name of one part of a
            fused operation (q, k, v; gate, value); None takes the default.
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Attributes:
        default_targets: Groups of names. The default is the first group of which the encoder has
            any, without the names that it lacks, and without operations that `takes` refuses.
    """

    default_targets: tuple[tuple[str, ...], ...] = (ALL_LINEARS,)

    def __init__(self, targets: Sequence[str] | None, blocks: Sequence[int] | None) -> None:
        super().__init__(blocks)
        self.targets = tuple(targets) if targets is not None else None

    def chosen_blocks(self, anatomy: Anatomy) -> Sequence[int] | None:
        """Returns the blocks to take operations from; None also takes operations outside blocks."""
        return self.blocks

    def takes(self, site: OpSite) -> bool:
        """Says whether the default takes an operation; a named target of another kind is an error.

        Grouped convolutions (of a RegNet or ResNeXt) are left out.
        """
        return getattr(site.module, 'groups', 1) == 1

    def find_sites(self, anatomy: Anatomy) -> Sequence[OpSite]:
        """Returns the chosen operations; see `find_operations`."""
        blocks, targets = self.chosen_blocks(anatomy), self.targets
        if targets is not None:
            return find_operations(anatomy, type(self).__name__, targets=targets, blocks=blocks)
        check_operations(anatomy, type(self).__name__)
        known = target_names(anatomy, blocks=blocks)
        groups = (tuple(t for t in group if t in known) for group in self.default_targets)
        targets = next((group for group in groups if group), self.default_targets[0])
        sites = find_operations(anatomy, type(self).__name__, targets=targets, blocks=blocks)
        return [site for site in sites if self.takes(site)] or sites


def site_key(site: Site) -> str:
    """Returns the key of a site's layer, such as ``layers_0_attn_qkv`` or ``ffn_3``.

    Example:
        >>> from rein_seg.peft.layered import site_key
        >>> from rein_seg.structures import StreamSite
        >>> site_key(StreamSite(3, 0, 3, 192, where='out', taps=()))
        'out_3'
    """
    if isinstance(site, StreamSite):
        return f'{site.where}_{site.block}'
    if isinstance(site, BranchSite):
        return f'{site.branch}_{site.beside.replace(".", "_") or site.block}'
    name: str = site.name  # type: ignore[attr-defined]
    return name.replace('.', '_')  # a ModuleDict refuses dots
