"""SSF: a learned scale and shift after every operation and norm.

B batch, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.choose import module_key
from rein_seg.peft.hooks import Context
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, Layout, NormSite, OpSite


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

    def forward(self, y: Tensor, layout: Layout) -> Tensor:
        """Returns ``y`` scaled and shifted, in its type."""
        scale, shift = self.scale.to(y.dtype), self.shift.to(y.dtype)
        if layout == 'NCHW':
            scale, shift = scale[:, None, None], shift[:, None, None]
        return scale * y + shift

    def fold(self, module: nn.Module) -> None:
        """Scales and shifts weight and bias; makes a bias where there was none."""
        weight, bias = module.weight, module.bias
        assert isinstance(weight, Tensor)
        if bias is None:
            module.bias = nn.Parameter(self.shift.detach().clone(), requires_grad=False)
        else:
            assert isinstance(bias, Tensor)
            bias.copy_(self.scale * bias + self.shift)
        weight.mul_(self.scale.view(-1, *[1] * (weight.dim() - 1)))


@PEFT_METHODS.register_module()
class SSF(PEFTMethod):
    """Scales and shifts what every norm, and every linear or convolution with a bias, gives.

    Those without a bias (Swin's merging, the convolutions of a ResNet, CLIP's patches) lead to a
    norm that is scaled and shifted; so all folds into tensors that the encoder has.

    Args:
        roles: Of operations and norms (qkv, proj, fc1, fc2, norm1, patch, ...); None takes all,
            but operations without a bias.
        blocks: Block indexes; None takes all, and what lies outside the blocks; negative ones
            count from the end.
        init_std: Standard deviation of the scales around 1 and of the shifts around 0 at the
            start; 0 starts as the frozen encoder.

    Shapes:
        OP(block, role), NORM(block, role): as they are, scaled along their channels.

    Raises:
        UserError: If the encoder lacks one of ``roles``, or init_std is negative.

    Source: Lian et al., NeurIPS 2022, Sec. 3. Differs from its code: the axis is that of the
    channels (there: the last one where its length fits, whatever it is).
    """

    no_weight_decay = ('scale', 'shift')

    def __init__(
        self,
        roles: Sequence[str] | None = None,
        *,
        blocks: Sequence[int] | None = None,
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        if init_std < 0:
            raise UserError(f'SSF init_std={init_std}: expected 0 or more')
        self.roles = tuple(roles) if roles is not None else None
        self.blocks = tuple(blocks) if blocks is not None else None
        self.init_std = init_std
        self.exact_at_start = init_std == 0
        self.layers = nn.ModuleDict()

    def build(self, anatomy: Anatomy) -> None:
        """Makes scale and shift of each operation and norm."""
        for site in self._sites(anatomy):
            weight = site.tap.module.weight
            assert isinstance(weight, Tensor)
            self.layers[module_key(site)] = ScaleShift(weight, std=self.init_std)

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks to the outputs."""
        for site in self._sites(anatomy):
            self.hook(site, self.on_op if isinstance(site, OpSite) else self.on_norm)

    def on_op(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns what an operation that made ``y`` is to give."""
        return self.on_norm(y, context)

    def on_norm(self, y: Tensor, context: Context) -> Tensor:
        """Returns what a norm that made ``y`` is to give."""
        assert isinstance(context.site, (OpSite, NormSite))
        return self.layers[module_key(context.site)](y, context.layout)

    @torch.no_grad()
    def fold(self) -> None:
        """Folds scale and shift into weight and bias."""
        assert self._anatomy is not None
        for site in self._sites(self._anatomy):
            layer = self.layers[module_key(site)]
            assert isinstance(layer, ScaleShift)
            layer.fold(site.tap.module)

    def _sites(self, anatomy: Anatomy) -> list[OpSite | NormSite]:
        blocks = None
        if self.blocks is not None:  # resolves negative ones, and refuses those that do not exist
            blocks = {site.block for site in anatomy.find(OpSite, blocks=self.blocks)}
        sites = [
            site
            for site in anatomy.sites
            if isinstance(site, (OpSite, NormSite)) and (blocks is None or site.block in blocks)
        ]
        known = {site.role for site in sites}
        unknown = [role for role in self.roles or () if role not in known]
        if unknown or self.roles == ():
            raise UserError(
                f'SSF roles={list(self.roles or ())}: the {anatomy.family!r} encoder has no '
                f'{unknown}; it has {sorted(known)}'
            )
        if self.roles is None:
            return [s for s in sites if isinstance(s, NormSite) or s.module.bias is not None]
        return [site for site in sites if site.role in self.roles]
