"""The baseline that trains everything."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from rein_seg.errors import UserError
from rein_seg.peft.base import PEFTMethod
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, ParamSite


@PEFT_METHODS.register_module()
class Full(PEFTMethod):
    """Fine-tunes every parameter of the encoder that its outputs depend on.

    Args:
        norm_eval: Batch norms keep the running statistics of the pretrained weights, and compute
            with them; their scales and shifts train. For small batches.

    Raises:
        UserError: If ``norm_eval`` is on, and the encoder has no batch norm.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='Full'))
        >>> sum(p.numel() for p in backbone.parameters() if p.requires_grad)
        3694656
    """

    trains_encoder = True

    def __init__(self, norm_eval: bool = False) -> None:
        super().__init__()
        self.norm_eval = norm_eval

    def attach(self, encoder: nn.Module, anatomy: Anatomy) -> None:
        """Attaches the method; see `PEFTMethod.attach`."""
        if self.norm_eval and not self.still_modules(encoder):
            raise UserError(
                f'Full norm_eval=True has no effect on {type(encoder).__name__}, which has no '
                'batch norm: leave it out'
            )
        super().attach(encoder, anatomy)

    def still_modules(self, encoder: nn.Module) -> list[nn.Module]:
        """Returns the batch norms with ``norm_eval``, none without."""
        modules = encoder.modules() if self.norm_eval else ()
        return [module for module in modules if isinstance(module, _BatchNorm)]

    def connect(self, anatomy: Anatomy) -> None:
        """Notes the parameters and their version counters, to tell later whether they changed."""
        self._sites = anatomy.find(ParamSite)
        self._versions = [site.param._version for site in self._sites]

    def owned_parameters(self, anatomy: Anatomy) -> set[str]:
        """Returns the names of all parameters."""
        return {site.name for site in anatomy.find(ParamSite)}

    def trainable_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields the encoder's own parameters."""
        yield from ((site.name, site.param) for site in self._sites)

    @property
    def changed(self) -> bool:
        """Whether a weight was changed, by training or loading, since the method was attached."""
        return [site.param._version for site in self._sites] != self._versions

    def detach(self) -> None:
        """Leaves the encoder, if its weights are unchanged.

        Raises:
            RuntimeError: If a weight was changed: Full keeps no copy to restore it from.
        """
        if self.changed:
            raise RuntimeError(
                'Full has trained the encoder: its former weights cannot be restored; '
                'build the encoder again'
            )
        super().detach()

    def merge_into_weights(self) -> None:
        """Does nothing: the trained weights are the encoder's own."""
