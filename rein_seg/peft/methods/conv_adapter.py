"""Conv-Adapter: a grouped convolution parallel to each spatial operation, on the grid.

B batch, C channels, D output channels, g channels a group, k kernel side, H x W grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.arguments import ODD, Act, Count, at_least, make_act
from rein_seg.peft.context import Context
from rein_seg.peft.layered import LayerMethod
from rein_seg.peft.parts.branches import branch_sizes
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, BranchSite, OpSite, Site


class ConvAdapterLayer(nn.Module):
    """Computes alpha (conv1x1(act(conv_k(x)))), conv_k with C / g groups of g channels to one each.

    Parameter names are the official ones (``se`` is alpha).

    Args:
        inputs: C.
        outputs: D.
        reduction: g.
        act: Name of the activation.
        zero_init: Whether the second convolution starts at zero, not as kaiming_normal (fan_out).
        **conv: kernel_size, stride, padding, dilation of the first convolution.

    Shapes:
        conv1: (C / g, g, k, k); conv2: (D, C / g, 1, 1); se: (1, D, 1, 1).
    """

    def __init__(
        self, inputs: int, outputs: int, *, reduction: int, act: Act, zero_init: bool, **conv: Any
    ) -> None:
        super().__init__()
        if inputs % reduction:
            raise UserError(
                f'ConvAdapter reduction={reduction}: expected a divisor of the {inputs} channels'
            )
        hidden = inputs // reduction
        # each group of g channels becomes one channel
        self.conv1 = nn.Conv2d(inputs, hidden, groups=hidden, **conv)
        self.act = make_act(act)
        self.conv2 = nn.Conv2d(hidden, outputs, 1)
        self.se = nn.Parameter(torch.ones(1, outputs, 1, 1))
        for module in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
            assert module.bias is not None
            nn.init.zeros_(module.bias)
        if zero_init:
            nn.init.zeros_(self.conv2.weight)

    def convolve(self, grid: Tensor) -> Tensor:
        """Computes (B, C, H, W) -> (B, D, H', W')."""
        return self.se * self.conv2(self.act(self.conv1(grid)))


class BesideBranch(ConvAdapterLayer):
    """Adds to the result of a branch."""

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Returns the update of the branch's result, in its layout; zero for prefix tokens."""
        return context.from_grid(self.convolve(context.to_grid(x)), x)


class BesideConv(ConvAdapterLayer):
    """Adds to the output of a single convolution."""

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns the new output."""
        return y + self.convolve(x)


@PEFT_METHODS.register_module()
class ConvAdapter(LayerMethod):
    """Adds a grouped convolution and a 1x1 convolution parallel to each spatial operation.

    Convolutional blocks have it beside their spatial convolution (its input -> the input of the
    next operation). Attention blocks have it beside the attention (norm1's output, or its input
    without a norm -> the attention's result, after LayerScale), on the whole grid whatever the
    windows. Convolutions that merge patches between stages have one each.

    Args:
        reduction: g.
        kernel_size: k beside branches; None takes the convolution's, and 7 beside attention.
        act: Activation; None takes ReLU beside dense convolutions (ResNet), GELU elsewhere.
        between_stages: Whether convolutions between stages have one, where ``blocks`` is None.
        zero_init: Starts the second convolution at zero, so that the start is exactly the frozen
            encoder; officially both start as the encoder's convolutions do.
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Shapes:
        BRANCH(block, conv or attn): (..., C) -> the same; prefix tokens pass unchanged.
        OP(merge): (B, C, H, W) -> (B, D, H', W').

    Raises:
        UserError: If ``reduction`` does not divide a width.

    Source: Chen et al., CVPRW 2024 (arXiv 2208.07463), Sec. 3: the scheme parallel to the
    convolution. Differs from it: the zero start, and norms do not train (officially parameters
    with "norm" in their name do); kernel_size has an effect.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='ConvAdapter', kernel_size=3))
        >>> layer = backbone.peft.layers['attn_0']
        >>> layer.conv1.weight.shape, layer.conv2.weight.shape
        (torch.Size([48, 4, 3, 3]), torch.Size([192, 48, 1, 1]))
    """

    why_not_mergeable = 'it has an activation between its two convolutions'
    no_weight_decay = ('se',)

    def __init__(
        self,
        reduction: Count = 4,
        *,
        kernel_size: Annotated[int, at_least(1), ODD] | None = None,
        act: Act | None = None,
        between_stages: bool = True,
        zero_init: bool = True,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(blocks)
        self.exact_at_start = zero_init
        self.kernel_size, self.act = kernel_size, act
        self.between_stages = between_stages
        self._layer: dict[str, Any] = dict(reduction=reduction, zero_init=zero_init)

    def find_sites(self, anatomy: Anatomy) -> Sequence[Site]:
        """Returns the branches with the spatial operations, then the merging convolutions."""
        branches = anatomy.find(BranchSite, blocks=self.blocks)
        kind = 'conv' if any(site.branch == 'conv' for site in branches) else 'attn'
        sites: list[Site] = [site for site in branches if site.branch == kind]
        if self.between_stages and self.blocks is None:
            ops = [site for site in anatomy.sites if isinstance(site, OpSite)]
            sites += [s for s in ops if s.role == 'merge' and isinstance(s.module, nn.Conv2d)]
        return sites

    def make_layer(self, site: BranchSite | OpSite) -> nn.Module:
        """Returns the layer beside one convolution or attention."""
        if isinstance(site, OpSite):
            op = site.module
            assert isinstance(op, nn.Conv2d)
            shape: dict[str, Any] = dict(
                kernel_size=op.kernel_size, stride=op.stride, padding=op.padding
            )
            return BesideConv(
                op.in_channels, op.out_channels, act=self.act or 'gelu', **self._layer, **shape
            )
        conv = site.conv  # None beside attention
        inputs, outputs, stride = branch_sizes(site, parallel=True)
        side = 7 if conv is None else conv.kernel_size[0]
        dilation = 1 if conv is None else conv.dilation[0]
        act: Act = 'gelu' if conv is None or conv.groups > 1 else 'relu'
        side = self.kernel_size or side
        shape = dict(kernel_size=side, stride=stride, dilation=dilation)
        shape['padding'] = dilation * (side // 2)
        return BesideBranch(inputs, outputs, act=self.act or act, **self._layer, **shape)

    def hook_options(self, site: BranchSite | OpSite) -> dict[str, Any]:
        """Returns where the layer reads."""
        if isinstance(site, OpSite):
            return {}
        raw = site.conv is not None or site.entry_norm is None
        return dict(source='entry_raw' if raw else 'entry_norm')
