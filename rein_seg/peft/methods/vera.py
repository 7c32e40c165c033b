"""VeRA: every layer shares one frozen random pair of matrices and trains two vectors.

r rank, in and out of one layer, n slices of the output channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.choose import Rows, module_key
from rein_seg.peft.hooks import Context
from rein_seg.peft.layered import OperationMethod, check_rank
from rein_seg.peft.parts.low_rank import Op, apply_down, apply_up, conv_options, per_channel
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, OpSite


class VeRALayer(nn.Module):
    """Adds b * B (d * A x) to slices of the output of one linear or 1x1 convolution.

    Args:
        op: The frozen operation.
        rows: Slices (start, stop) of the output channels, each with vectors of its own.
        rank: r.
        d_initial: Start of d.

    Shapes:
        lambda_d: (n, r); lambda_b: (sum of slice widths,), zero at the start.
    """

    def __init__(self, op: Op, rows: Rows, *, rank: int, d_initial: float) -> None:
        super().__init__()
        self.rows = tuple(rows)
        self.conv = conv_options(op)
        width = sum(stop - start for start, stop in self.rows)
        self.lambda_d = nn.Parameter(op.weight.new_full((len(self.rows), rank), d_initial))
        self.lambda_b = nn.Parameter(op.weight.new_zeros(width))

    def forward(self, x: Tensor, y: Tensor, down: Tensor, up: Tensor) -> Tensor:
        """Returns ``y`` with the update of ``x`` added.

        Args:
            x: (..., in) or (B, in, H, W).
            y: (..., out) or (B, out, H, W).
            down: (r, in) A of this layer.
            up: (largest slice width, r) B.
        """
        channel = -1 if self.conv is None else 1
        kernel = down if self.conv is None else down[:, :, None, None]
        hidden, row, pieces = apply_down(x, kernel, self.conv), 0, []
        for (start, stop), d, b in zip(self.rows, self.lambda_d, self._each(), strict=True):
            inner = hidden * per_channel(d, self.conv).to(hidden.dtype)
            delta = apply_up(inner, up[: stop - start], self.conv)
            delta = delta * per_channel(b, self.conv).to(delta.dtype)
            pieces.append(y.narrow(channel, row, start - row))
            pieces.append(y.narrow(channel, start, stop - start) + delta)
            row = stop
        pieces.append(y.narrow(channel, row, y.shape[channel] - row))
        return torch.cat(pieces, dim=channel)

    def _each(self) -> tuple[Tensor, ...]:
        return self.lambda_b.split([stop - start for start, stop in self.rows])

    def fold(self, op: Op, down: Tensor, up: Tensor) -> None:
        """Adds diag(b) B diag(d) A to the rows of the weight."""
        for (start, stop), d, b in zip(self.rows, self.lambda_d, self._each(), strict=True):
            delta = b[:, None] * (up[: stop - start] * d) @ down
            op.weight[start:stop] += delta.view_as(op.weight[start:stop])


@PEFT_METHODS.register_module()
class VeRA(OperationMethod):
    """Adds b * B (d * A x) with one frozen random A and B for the whole encoder, vectors b and d.

    A and B are as large as the largest chosen layer needs and cut for the others. They are drawn
    from ``seed`` on the CPU and are not saved: the config that an adapter carries rebuilds them.

    Args:
        parts: Linears and 1x1 convolutions by role (proj, fc1, fc2, ...) or by the name of one
            part of a fused operation (q, k, v; gate, value), which then has vectors of its own.
            None takes q and v, or fc1 and fc2 where the encoder has no attention.
        rank: r.
        d_initial: Start of d; b starts at zero.
        seed: Of A and B.
        blocks: Block indexes; None takes all, negative ones count from the end.

    Shapes:
        OP(block, role): (..., in) -> (..., out); prefix tokens are updated like all others.

    Raises:
        UserError: If rank < 1, a named part does not exist in the encoder, or it is a convolution
            that is not 1x1.

    Source: Kopiczko et al., ICLR 2024, Sec. 3; A and B are drawn as in the peft library (uniform,
    Kaiming with gain sqrt 2). Differs from it: none.
    """

    default_parts = (('q', 'v'), ('fc1', 'fc2'))
    no_weight_decay = ('lambda_b', 'lambda_d')

    def __init__(
        self,
        parts: Sequence[str] | None = None,
        *,
        rank: int = 256,
        d_initial: float = 0.1,
        seed: int = 0,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(parts, blocks)
        check_rank(rank, 'VeRA')
        self.rank, self.d_initial, self.seed = rank, d_initial, seed
        self.down: Tensor
        self.up: Tensor

    def make_layer(self, site: OpSite, rows: Rows) -> nn.Module:
        """Returns a `VeRALayer`."""
        _check_op(site)
        return VeRALayer(site.module, rows, rank=self.rank, d_initial=self.d_initial)

    def build(self, anatomy: Anatomy) -> None:
        """Makes the layers, and the pair that they share."""
        super().build(anatomy)
        targets = self.targets(anatomy)
        inputs = max(site.module.weight.shape[1] for site, _ in targets)
        outputs = max(stop - start for _, rows in targets for start, stop in rows)
        generator = torch.Generator(device='cpu').manual_seed(self.seed)
        like = targets[0][0].module.weight
        for name, shape in (('down', (self.rank, inputs)), ('up', (outputs, self.rank))):
            drawn = _draw(shape, generator).to(device=like.device, dtype=like.dtype)
            self.register_buffer(name, drawn, persistent=False)

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks the layers, through a function that knows the pair."""
        for site, _ in self.targets(anatomy):
            self.hook(site, self.update)

    def update(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns the new output of an operation that made ``y`` of ``x``."""
        site = context.site
        assert isinstance(site, OpSite)
        down = self.down[:, : site.module.weight.shape[1]]
        return self.layers[module_key(site)](x, y, down, self.up)

    @torch.no_grad()
    def fold(self) -> None:
        """Adds each layer's product to its weight."""
        assert self._anatomy is not None
        for site, _ in self.targets(self._anatomy):
            layer = self.layers[module_key(site)]
            assert isinstance(layer, VeRALayer)
            layer.fold(site.module, self.down[:, : site.module.weight.shape[1]], self.up)


def _draw(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Returns uniform numbers in +-sqrt(6 / columns)."""
    bound = math.sqrt(3) * (math.sqrt(2) / math.sqrt(shape[1]))
    return torch.empty(shape, device='cpu').uniform_(-bound, bound, generator=generator)


def _check_op(site: OpSite) -> None:
    op = site.module
    if isinstance(op, nn.Linear):
        return
    if set(op.kernel_size) != {1} or op.groups != 1:
        raise UserError(
            f'VeRA updates linears and dense 1x1 convolutions, not {site.name!r} '
            f'(kernel {tuple(op.kernel_size)}, groups {op.groups}): leave role {site.role!r} out '
            'of parts'
        )
