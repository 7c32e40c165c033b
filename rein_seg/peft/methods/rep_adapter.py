"""RepAdapter: a linear adapter before an operation, which merges into its weight.

r hidden width, g groups, in and out of one operation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.arguments import Count, Names
from rein_seg.peft.choose import Rows, check_pointwise, rows_of
from rein_seg.peft.context import Context
from rein_seg.peft.layered import OperationMethod
from rein_seg.peft.parts.low_rank import Op, apply_pair, conv_options, gather_rows, scatter_rows
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import OpSite


class RepAdapterLayer(nn.Module):
    """Adds s W B A x to the output W x + b of an operation, as if its input were x + s B A x.

    W B is (out, r), small beside the positions of an image: W is not applied a second time.

    Args:
        op: The frozen linear or 1x1 convolution.
        rows: Slices (start, stop) of the output channels that get the adapted input.
        hidden_dims: r.
        groups: g; B is block-diagonal, each block (in / g, r / g).
        scale: s.

    Shapes:
        down: A, (r, in), Xavier uniform at the start; up: B, (in, r / g), zero at the start.
    """

    def __init__(self, op: Op, rows: Rows, *, hidden_dims: int, groups: int, scale: float) -> None:
        super().__init__()
        self.rows, self.groups, self.scale = tuple(rows), groups, scale
        self.conv = conv_options(op)
        width = op.weight.shape[1]
        self.down = nn.Parameter(op.weight.new_empty(hidden_dims, width))
        self.up = nn.Parameter(op.weight.new_zeros(width, hidden_dims // groups))
        nn.init.xavier_uniform_(self.down)

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns ``y`` changed to the operation's output for the adapted ``x``."""
        assert isinstance(context.site, OpSite)
        down = self.down if self.conv is None else self.down[:, :, None, None]
        up = self.scale * self.weighted_up(context.site.module.weight)
        return y + apply_pair(x, down, up, self.conv)

    def weighted_up(self, weight: Tensor) -> Tensor:
        """Returns W B, (out, r), zero outside the rows."""
        each = gather_rows(weight.flatten(1), self.rows).chunk(self.groups, dim=1)
        blocks = self.up.to(weight.dtype).chunk(self.groups)
        # each group of columns of W meets its own block of B
        wide = torch.cat([w @ b for w, b in zip(each, blocks, strict=True)], dim=1)
        return scatter_rows(wide, self.rows, len(weight))

    def merge(self, site: OpSite) -> None:
        """Adds s W B A to the weight."""
        weight = site.module.weight
        weight += self.scale * (self.weighted_up(weight) @ self.down).view_as(weight)


@PEFT_METHODS.register_module()
class RepAdapter(OperationMethod):
    """Puts a linear adapter x + s B A x before attention's q, k, v and the first MLP linear.

    It has no activation, so it merges: W (x + s B A x) = (W + s W B A) x.

    Args:
        targets: Operations by role (fc1, proj, ...) or by the name of one part of a fused operation
            (q, k, v; gate, value). None takes q, k, v, fc1 as far as the encoder has them, or conv1
            in ResNets (1x1 from 50 layers on).
        hidden_dims: r, a multiple of ``groups``.
        groups: g, a divisor of every operation's input width.
        scale: s.
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Shapes:
        OP(block, role): (..., in) -> (..., out), a fused qkv as a whole.

    Raises:
        UserError: If ``groups`` does not divide hidden_dims and the input widths, the encoder lacks
            a target, or it is a convolution that is grouped or not 1x1.

    Source: Luo et al., 2023 (arXiv 2302.08106), Sec. 3, from memory: unverified. Differs from it:
    no biases in A and B, so that it also merges into operations without a bias; separate q, k and v
    have an adapter each.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='RepAdapter', hidden_dims=4))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        18432
        >>> backbone.merge()  # costs nothing in prediction
    """

    default_targets = (('q', 'k', 'v', 'fc1'), ('pw1',), ('conv1',))
    reads_operations = True

    def __init__(
        self,
        targets: Names | None = None,
        *,
        hidden_dims: Count = 8,
        groups: Count = 2,
        scale: float = 1.0,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(targets, blocks)
        if hidden_dims % groups:
            raise UserError(
                f'RepAdapter hidden_dims={hidden_dims} is no multiple of groups={groups}'
            )
        self.hidden_dims, self.groups, self.scale = hidden_dims, groups, scale

    def make_layer(self, site: OpSite) -> nn.Module:
        """Returns a `RepAdapterLayer`."""
        op = site.module
        check_pointwise(site, 'RepAdapter')
        if op.weight.shape[1] % self.groups:
            raise UserError(
                f'RepAdapter groups={self.groups} does not divide the {op.weight.shape[1]} input '
                f'channels of {site.name!r}: give another number'
            )
        options = dict(hidden_dims=self.hidden_dims, groups=self.groups)
        return RepAdapterLayer(op, rows_of(site), scale=self.scale, **options)
