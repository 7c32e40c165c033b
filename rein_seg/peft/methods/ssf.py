"""SSF: a learned scale and shift after every operation and norm.

B batch, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from rein_seg.peft.arguments import Names, NotNegative
from rein_seg.peft.choose import check_targets
from rein_seg.peft.context import Context
from rein_seg.peft.layered import LayerMethod
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, NormSite, OpSite


class ScaleShift(nn.Module):
    """Computes scale * y + shift along the channels.

    Args:
        like: A (C, ...) weight, for width, device and type.
        std: Standard deviation of both around 1 and 0 at the start.

    Shapes:
        scale, shift: (C,).
    """

    def __init__(self, like: Tensor, *, std: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(like.new_ones(len(like)))
        self.shift = nn.Parameter(like.new_zeros(len(like)))
        if std:
            nn.init.normal_(self.scale, 1.0, std)
            nn.init.normal_(self.shift, 0.0, std)

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns the output ``y`` scaled and shifted, in its type."""
        scale, shift = self.scale.to(y.dtype), self.shift.to(y.dtype)
        if context.layout == 'NCHW':
            scale, shift = scale[:, None, None], shift[:, None, None]
        return scale * y + shift

    def merge(self, site: OpSite | NormSite) -> None:
        """Scales and shifts weight and bias; makes a bias where there was none."""
        module = site.module
        weight, bias = module.weight, module.bias
        assert isinstance(weight, Tensor)
        if bias is None:  # only where a target names an operation without a bias
            module.bias = nn.Parameter(self.shift.detach().clone(), requires_grad=False)
        else:
            assert isinstance(bias, Tensor)
            bias.copy_(self.scale * bias + self.shift)
        # rows of a linear or convolution, or the entries of a norm's weight
        weight.mul_(self.scale.view(-1, *[1] * (weight.dim() - 1)))


@PEFT_METHODS.register_module()
class SSF(LayerMethod):
    """Scales and shifts the output of every norm, and of every linear or convolution with a bias.

    Operations without a bias (Swin's merging, the convolutions of a ResNet, CLIP's patches) lead to
    a norm that is scaled and shifted; so everything merges into tensors that the encoder has,
    unless its norms are RMS norms.

    Args:
        targets: Roles of operations and norms (qkv, proj, fc1, fc2, norm1, patch, ...); None takes
            all, except operations without a bias.
        blocks: Block indexes; None takes all blocks and everything outside them; negative indexes
            count from the end.
        init_std: Standard deviation of the scales around 1 and of the shifts around 0 at the
            start; 0 starts as the frozen encoder.

    Shapes:
        OP(block, role), NORM(block, role): unchanged, scaled along their channels.

    Raises:
        UserError: If the encoder lacks a target.

    Source: Lian et al., NeurIPS 2022, Sec. 3. Differs from its code: the scaled axis is always the
    channels (there: the last axis whose length fits).

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='SSF', targets=['norm1', 'qkv']))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        12288
        >>> backbone.merge()  # into weights and biases
    """

    no_weight_decay = ('scale', 'shift')

    def __init__(
        self,
        targets: Names | None = None,
        *,
        blocks: Sequence[int] | None = None,
        init_std: NotNegative = 0.02,
    ) -> None:
        super().__init__(blocks)
        self.targets = tuple(targets) if targets is not None else None
        self.init_std = init_std
        self.exact_at_start = init_std == 0

    def find_sites(self, anatomy: Anatomy) -> list[OpSite | NormSite]:
        """Returns the chosen operations and norms, in forward order."""
        blocks = None
        if self.blocks is not None:  # resolves negative indexes and checks that all blocks exist
            blocks = {site.block for site in anatomy.find(OpSite, blocks=self.blocks)}
        sites = [
            site
            for site in anatomy.sites
            if isinstance(site, (OpSite, NormSite)) and (blocks is None or site.block in blocks)
        ]
        if self.targets is None:
            return [s for s in sites if isinstance(s, NormSite) or s.module.bias is not None]
        check_targets('SSF', self.targets, {site.role for site in sites}, anatomy.family)
        return [site for site in sites if site.role in self.targets]

    def check_mergeable(self) -> None:
        """Checks that every scaled norm can hold a shift; an RMS norm has no bias at all."""
        for site, _ in self.site_layers():
            if not hasattr(site.module, 'bias'):
                raise NotImplementedError(
                    f'SSF cannot be merged into weights: {site.name} is a '
                    f'{type(site.module).__name__}, which has no bias to hold the shift'
                )

    def make_layer(self, site: OpSite | NormSite) -> nn.Module:
        """Returns scale and shift of one operation or norm."""
        weight = site.module.weight
        assert isinstance(weight, Tensor)
        return ScaleShift(weight, std=self.init_std)
