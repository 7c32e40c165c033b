"""VeRA: every layer shares one frozen random pair of matrices and trains two vectors.

r rank, in and out of one layer, n slices of the output channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rein_seg.peft.arguments import Count, Names
from rein_seg.peft.choose import Rows, check_pointwise, rows_of
from rein_seg.peft.context import Context
from rein_seg.peft.layered import OperationMethod
from rein_seg.peft.parts.low_rank import Op, apply_down, apply_up, conv_options, per_channel
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, OpSite


class RandomPair(nn.Module):
    """The frozen matrices A and B that all layers share, drawn on the CPU; not saved.

    Args:
        inputs: Columns of A: the largest input width.
        outputs: Rows of B: the largest slice of the output channels.
        rank: r.
        seed: Seed of the draw.
        like: A weight, for device and type.

    Shapes:
        down: A, (r, inputs); up: B, (outputs, r).
    """

    down: Tensor
    up: Tensor

    def __init__(self, inputs: int, outputs: int, *, rank: int, seed: int, like: Tensor) -> None:
        super().__init__()
        generator = torch.Generator(device='cpu').manual_seed(seed)
        for name, shape in (('down', (rank, inputs)), ('up', (outputs, rank))):
            drawn = _draw(shape, generator).to(device=like.device, dtype=like.dtype)
            self.register_buffer(name, drawn, persistent=False)


class VeRALayer(nn.Module):
    """Adds b * B (d * A x) to slices of the output of one linear or 1x1 convolution.

    Args:
        op: The frozen operation.
        rows: Slices (start, stop) of the output channels, each with its own vectors.
        pair: A and B.
        d_initial: Start of d.

    Shapes:
        lambda_d: (n, r); lambda_b: (sum of slice widths,), zero at the start.
    """

    def __init__(self, op: Op, rows: Rows, pair: RandomPair, *, d_initial: float) -> None:
        super().__init__()
        self.rows, self.pair = rows, pair
        self.inputs, self.conv = op.weight.shape[1], conv_options(op)
        width = sum(stop - start for start, stop in rows)
        self.lambda_d = nn.Parameter(op.weight.new_full((len(rows), len(pair.down)), d_initial))
        self.lambda_b = nn.Parameter(op.weight.new_zeros(width))

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns ``y`` with the update of ``x`` added."""
        down, channel = self.pair.down[:, : self.inputs], -1
        if self.conv is not None:
            down, channel = down[:, :, None, None], 1
        hidden, row, pieces = apply_down(x, down, self.conv), 0, []
        for (start, stop), d, b in zip(self.rows, self.lambda_d, self._each(), strict=True):
            inner = hidden * per_channel(d, self.conv).to(hidden.dtype)
            delta = apply_up(inner, self.pair.up[: stop - start], self.conv)
            delta = delta * per_channel(b, self.conv).to(delta.dtype)
            pieces.append(y.narrow(channel, row, start - row))  # channels of no target
            pieces.append(y.narrow(channel, start, stop - start) + delta)
            row = stop
        pieces.append(y.narrow(channel, row, y.shape[channel] - row))
        return torch.cat(pieces, dim=channel)

    def merge(self, site: OpSite) -> None:
        """Adds diag(b) B diag(d) A to the rows of the weight."""
        weight, down = site.module.weight, self.pair.down[:, : self.inputs]
        for (start, stop), d, b in zip(self.rows, self.lambda_d, self._each(), strict=True):
            delta = b[:, None] * (self.pair.up[: stop - start] * d) @ down
            weight[start:stop] += delta.view_as(weight[start:stop])

    def _each(self) -> tuple[Tensor, ...]:
        return self.lambda_b.split([stop - start for start, stop in self.rows])


@PEFT_METHODS.register_module()
class VeRA(OperationMethod):
    """Adds b * B (d * A x) with one frozen random A and B for the whole encoder, vectors b and d.

    A and B are as large as the largest chosen layer needs and cut for the others. They are drawn
    from ``seed`` on the CPU and are not saved: the config that an adapter carries rebuilds them.

    Args:
        targets: Linears and 1x1 convolutions by role (proj, fc1, fc2, ...) or by the name of one
            part of a fused operation (q, k, v; gate, value), which then has its own vectors. None
            takes q and v, or fc1 and fc2 where the encoder has no attention.
        rank: r.
        d_initial: Start of d; b starts at zero.
        seed: Seed of A and B.
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Shapes:
        OP(block, role): (..., in) -> (..., out); prefix tokens are updated like all others.

    Raises:
        UserError: If the encoder lacks a target, or it is a convolution that is not 1x1.

    Source: Kopiczko et al., ICLR 2024, Sec. 3; A and B are drawn as in the peft library (uniform,
    Kaiming with gain sqrt 2). Differs from it: none.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='VeRA', rank=64))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        4096
        >>> backbone.peft.pair.down.shape, backbone.peft.pair.up.shape  # shared by all layers
        (torch.Size([64, 192]), torch.Size([192, 64]))
    """

    default_targets = (('q', 'v'), ('fc1', 'fc2'), ('pw1', 'pw2'))
    no_weight_decay = ('lambda_b', 'lambda_d')

    def __init__(
        self,
        targets: Names | None = None,
        *,
        rank: Count = 256,
        d_initial: float = 0.1,
        seed: int = 0,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(targets, blocks)
        self.rank, self.d_initial, self.seed = rank, d_initial, seed

    def build(self, anatomy: Anatomy) -> None:
        """Draws the shared pair and makes the layers."""
        sites = self.find_sites(anatomy)
        self.pair = RandomPair(
            max(site.module.weight.shape[1] for site in sites),
            max(stop - start for site in sites for start, stop in rows_of(site)),
            rank=self.rank,
            seed=self.seed,
            like=sites[0].module.weight,
        )
        super().build(anatomy)

    def make_layer(self, site: OpSite) -> nn.Module:
        """Returns a `VeRALayer`."""
        check_pointwise(site, 'VeRA')
        return VeRALayer(site.module, rows_of(site), self.pair, d_initial=self.d_initial)


def _draw(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Returns uniform numbers in +-sqrt(6 / columns)."""
    bound = math.sqrt(3) * (math.sqrt(2) / math.sqrt(shape[1]))
    return torch.empty(shape, device='cpu').uniform_(-bound, bound, generator=generator)
