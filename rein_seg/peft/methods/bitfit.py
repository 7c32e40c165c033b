"""BitFit: biases train, or parameters of any other roles, for instance norms."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from rein_seg.peft.arguments import Names
from rein_seg.peft.layered import LayerMethod
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, ParamSite


class Replacement(nn.Module):
    """A trainable parameter that starts as a copy of a frozen parameter and replaces it.

    Shapes:
        value: The shape of the frozen parameter.
    """

    def __init__(self, param: nn.Parameter) -> None:
        super().__init__()
        self.value = nn.Parameter(param.detach().clone())

    def forward(self) -> nn.Parameter:
        """Returns the parameter to use."""
        return self.value

    def merge(self, site: ParamSite) -> None:
        """Writes the trained value into the encoder."""
        site.param.copy_(self.value)


@PEFT_METHODS.register_module()
class BitFit(LayerMethod):
    """Trains the encoder's biases, each in a copy that replaces the frozen bias.

    Args:
        targets: Roles of parameters: ``bias`` (of linears and convolutions), ``norm_bias``,
            ``norm`` (the weight of a norm), ``scale`` (LayerScale), ``pos``, ``token``,
            ``weight``. ``['norm', 'norm_bias']`` is norm tuning. The official rule, names that
            contain "bias", also takes Swin's tables of relative positions: add ``pos``.
        blocks: Block indexes; None takes all blocks and everything outside them; negative indexes
            count from the end.

    Shapes:
        PARAM(name): unchanged. The convolutions of a ResNet have no bias: its biases belong to
        batch norms, which use the pretrained statistics.

    Raises:
        UserError: If the encoder has no parameter of these roles.

    Source: Ben Zaken et al., ACL 2022. Differs from it: none.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='BitFit', targets=['norm', 'norm_bias']))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        6144
        >>> backbone.merge()  # writes the copies into the encoder
    """

    replaces_parameters = True
    no_weight_decay = ('value',)
    layers_name = 'params'  # the name in adapter files

    def __init__(
        self,
        targets: Names = ('bias', 'norm_bias'),
        *,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(blocks)
        self.targets = tuple(targets)

    def find_sites(self, anatomy: Anatomy) -> tuple[ParamSite, ...]:
        """Returns the parameters of the chosen roles."""
        return anatomy.find(ParamSite, blocks=self.blocks, role=self.targets)

    def make_layer(self, site: ParamSite) -> nn.Module:
        """Returns the trainable copy of a parameter."""
        return Replacement(site.param)

    def owned_parameters(self, anatomy: Anatomy) -> set[str]:
        """Returns the names of the copied parameters."""
        return {site.name for site in self.find_sites(anatomy)}
