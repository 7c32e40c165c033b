"""Pro-tuning: a light block of convolutions before each stage.

B batch, C channels, H x W grid.
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
from rein_seg.peft.parts.stages import stage_starts
from rein_seg.registry import PEFT_METHODS, reconstruction
from rein_seg.structures import Anatomy, StreamSite


class PromptBlock(nn.Module):
    """Computes beta * p: p by a grouped 1x1, a depthwise, a 1x1, a gate and a grouped 1x1.

    The gate is a squeeze-and-excitation, multiplied onto the map.

    Args:
        channels: C.
        kernel_size: Of the depthwise convolution.
        groups: Of the two grouped ones.
        gate_reduction: C over the width within the gate.
        act: Name of the activation after each of the first three convolutions.
    """

    def __init__(
        self, channels: int, *, kernel_size: int, groups: int, gate_reduction: int, act: Act
    ) -> None:
        super().__init__()
        if channels % groups:
            raise UserError(
                f'ProTuning groups={groups}: expected a divisor of the {channels} channels'
            )
        same: dict[str, Any] = dict(in_channels=channels, out_channels=channels)
        self.mix = nn.Sequential(
            nn.Conv2d(kernel_size=1, groups=groups, **same),
            make_act(act),
            nn.Conv2d(kernel_size=kernel_size, padding=kernel_size // 2, groups=channels, **same),
            make_act(act),
            nn.Conv2d(kernel_size=1, **same),
            make_act(act),
        )
        hidden = max(1, channels // gate_reduction)
        self.gate = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )
        self.out = nn.Conv2d(kernel_size=1, groups=groups, **same)
        self.beta = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Returns the update of the stage's input; zero for prefix tokens."""
        grid = self.mix(context.to_grid(x))  # (B, C, H, W)
        grid = grid * self.gate(grid.mean((2, 3)))[:, :, None, None]
        return context.from_grid(self.beta * self.out(grid), x)


@PEFT_METHODS.register_module()
@reconstruction(
    'ProTuning: a light prompt block for each stage is from the abstract of arXiv 2207.14381, the'
    ' content of the block and its place are ours'
)
class ProTuning(LayerMethod):
    """Adds a prompt, computed from a stage's input, to it: x + beta * prompt(x), beta from 0.

    Args:
        kernel_size: Of the depthwise convolution.
        groups: Of the first and the last 1x1 convolution.
        gate_reduction: C over the width within the gate.
        act: Activation after each convolution but the last.
        num_stages: Number of even groups of blocks that a plain encoder is divided into.

    Shapes:
        STREAM(first block of a stage, in): (..., C) -> the same; prefix tokens pass unchanged. The
        head's map of the stage before does not change.

    Raises:
        UserError: If ``groups`` does not divide a width.

    Source: Nie et al., TCSVT 2023 (arXiv 2207.14381), after its abstract, which has a light prompt
    block for each stage, blended with the features. No official code was found: not tested by
    numbers.
    Differs from it: the content of the block is ours, and the place of its prompt, at a stage's
    input. With ``act='none'``, which is not the paper's word either, everything but the gate is
    linear.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='ProTuning', groups=8))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        225844
        >>> list(backbone.peft.layers)
        ['in_0', 'in_2', 'in_4', 'in_6']
    """

    why_not_mergeable = 'it convolves, and its gate depends on the features'
    no_weight_decay = ('beta',)

    def __init__(
        self,
        kernel_size: Annotated[int, at_least(1), ODD] = 5,
        *,
        groups: Count = 4,
        gate_reduction: Count = 16,
        act: Act = 'none',
        num_stages: Count = 4,
    ) -> None:
        super().__init__()
        self.num_stages = num_stages
        self._block: dict[str, Any] = dict(
            kernel_size=kernel_size, groups=groups, gate_reduction=gate_reduction, act=act
        )

    def find_sites(self, anatomy: Anatomy) -> Sequence[StreamSite]:
        """Returns the inputs of the stages."""
        starts = stage_starts(anatomy, self.num_stages)
        return anatomy.find(StreamSite, where='in', blocks=starts)

    def make_layer(self, site: StreamSite) -> nn.Module:
        """Returns the block before one stage."""
        return PromptBlock(site.channels, **self._block)
