"""BitFit: biases train, or parameters of any other roles, norms for instance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from rein_seg.errors import UserError
from rein_seg.peft.base import PEFTMethod
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, ParamSite


class Replacement(nn.Module):
    """A trainable parameter that starts as a frozen one and stands in for it.

    Shapes:
        value: that of the frozen parameter.
    """

    def __init__(self, param: nn.Parameter) -> None:
        super().__init__()
        self.value = nn.Parameter(param.detach().clone())

    def forward(self) -> nn.Parameter:
        """Returns the parameter to use."""
        return self.value


@PEFT_METHODS.register_module()
class BitFit(PEFTMethod):
    """Trains the encoder's biases, each in a copy that stands in for the frozen one.

    Args:
        roles: Of the parameters: ``bias`` (of linears and convolutions), ``norm_bias``, ``norm``
            (the weight of a norm), ``scale`` (LayerScale), ``pos``, ``token``, ``weight``.
            ``['norm', 'norm_bias']`` is norm tuning. The official rule, names that contain "bias",
            also takes Swin's tables of relative positions: add ``pos``.
        blocks: Block indexes; None takes all, and what lies outside the blocks; negative ones
            count from the end.

    Shapes:
        PARAM(name): as they are. In a ResNet, whose convolutions have no bias, the biases are those
        of its batch norms, which use the pretrained statistics.

    Raises:
        UserError: If ``roles`` is empty, or the encoder has no parameter of these roles.

    Source: Ben Zaken et al., ACL 2022. Differs from it: none.
    """

    replaces_parameters = True
    no_weight_decay = ('value',)

    def __init__(
        self,
        roles: Sequence[str] = ('bias', 'norm_bias'),
        *,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if not roles or isinstance(roles, str):
            raise UserError(
                f"BitFit roles={roles!r}: expected a list, such as ['bias', 'norm_bias']"
            )
        self.roles = tuple(roles)
        self.blocks = tuple(blocks) if blocks is not None else None
        self.params = nn.ModuleDict()

    def build(self, anatomy: Anatomy) -> None:
        """Copies the parameters."""
        for site in self._sites(anatomy):
            self.params[_key(site)] = Replacement(site.param)

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks each copy to its parameter."""
        for site in self._sites(anatomy):
            self.hook(site, self.params[_key(site)])

    def owned_parameters(self, anatomy: Anatomy) -> set[str]:
        """Returns the names of the copied parameters."""
        return {site.name for site in self._sites(anatomy)}

    @torch.no_grad()
    def fold(self) -> None:
        """Writes the trained values into the encoder."""
        assert self._anatomy is not None
        for site in self._sites(self._anatomy):
            site.param.copy_(self.params[_key(site)]())

    def _sites(self, anatomy: Anatomy) -> tuple[ParamSite, ...]:
        return anatomy.find(ParamSite, blocks=self.blocks, role=self.roles)


def _key(site: ParamSite) -> str:
    return site.name.replace('.', '_')
