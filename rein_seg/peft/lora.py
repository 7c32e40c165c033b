"""LoRA: low-rank updates of linears and convolutions.

B batch, C channels, r rank, s = alpha / r.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.hooks import Context
from rein_seg.peft.targets import Rows, find_targets, module_key, part_names
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, OpSite

DEFAULT_PARTS = ('q', 'k', 'v', 'proj', 'fc1', 'fc2', 'conv1', 'conv2', 'conv3')


class LoRALayer(nn.Module):
    """Adds s B A x to the output of one linear or convolution.

    Args:
        op: The frozen `nn.Linear` or dense `nn.Conv2d`.
        rows: Slices (start, stop) of the output channels, each with an update of its own.
        rank: r of each update.
        alpha: Numerator of s.
        dropout: Probability for the input of A, in training.

    Shapes:
        lora_A: (n r, in) or (n r, in, k, k); lora_B: (sum of slice widths, r), as loralib stacks
        them; for a convolution A has the base's kernel, stride, padding and dilation and B is 1x1.
    """

    def __init__(
        self,
        op: nn.Linear | nn.Conv2d,
        rows: Sequence[tuple[int, int]],
        *,
        rank: int,
        alpha: float,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.rows = tuple(rows)
        self.rank = rank
        self.scaling = alpha / rank
        self.dropout = nn.Dropout(dropout)
        weight = op.weight
        self.out_features = weight.shape[0]
        self.conv: dict[str, Any] | None = None
        if isinstance(op, nn.Conv2d):
            self.conv = dict(stride=op.stride, padding=op.padding, dilation=op.dilation)
        inputs, width = weight.shape[1:], sum(stop - start for start, stop in self.rows)
        self.lora_A = nn.Parameter(weight.new_empty(len(self.rows) * rank, *inputs))
        self.lora_B = nn.Parameter(weight.new_zeros(width, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x: Tensor, y: Tensor, context: Context | None = None) -> Tensor:
        """Returns ``y`` with the update of ``x`` added."""
        x, up = self.dropout(x), self._up()
        if self.conv is None:
            delta = F.linear(F.linear(x, self.lora_A), up)
        else:
            delta = F.conv2d(F.conv2d(x, self.lora_A, **self.conv), up[:, :, None, None])
        return y + self.scaling * delta

    def delta_weight(self) -> Tensor:
        """Returns s B A in the shape of the base weight, zero outside the slices."""
        return self.scaling * torch.tensordot(self._up(), self.lora_A, dims=1)

    def _up(self) -> Tensor:
        # (out, n r), block diagonal: one product serves all parts, rows of absent parts are zero
        if self.rows == ((0, self.out_features),):
            return self.lora_B
        blocks, row, taken = [], 0, 0
        n = len(self.rows)
        for i, (start, stop) in enumerate(self.rows):
            if start > row:
                blocks.append(self.lora_B.new_zeros(start - row, n * self.rank))
            part = self.lora_B[taken : taken + stop - start]
            blocks.append(F.pad(part, (i * self.rank, (n - 1 - i) * self.rank)))
            row, taken = stop, taken + stop - start
        if row < self.out_features:
            blocks.append(self.lora_B.new_zeros(self.out_features - row, n * self.rank))
        return torch.cat(blocks)


@PEFT_METHODS.register_module()
class LoRA(PEFTMethod):
    """Adds trainable low-rank updates to chosen linears: y = W x + b + s B A x.

    Args:
        parts: Operations by role (proj, fc1, fc2, dw, patch, ...) or by the name of one part of a
            fused operation (q, k, v; gate, value). None takes those of q, k, v, proj, fc1, fc2
            and, in ResNets, conv1 to conv3 that the encoder has.
        rank: r.
        alpha: s = alpha / r.
        dropout: Probability for the input of A, in training.
        blocks: Block indexes; None takes all, negative ones count from the end.

    Shapes:
        OP(block, role): (..., in) -> (..., out); prefix tokens are updated like all others.

    Raises:
        UserError: If rank < 1, a named part does not exist in the encoder, or it is a grouped
            convolution.

    Source: Hu et al., ICLR 2022, Sec. 4. A fused qkv has one update for each part, as in loralib.
    Differs from it: convolutions take the form of the peft library (A spatial, B 1x1).
    """

    def __init__(
        self,
        parts: Sequence[str] | None = None,
        *,
        rank: int = 16,
        alpha: float = 16,
        dropout: float = 0.0,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if rank < 1:
            raise UserError(f'LoRA rank={rank}: expected at least 1 (Frozen trains no adapter)')
        self.parts = tuple(parts) if parts is not None else None
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.blocks = tuple(blocks) if blocks is not None else None
        self.layers = nn.ModuleDict()

    def build(self, anatomy: Anatomy) -> None:
        """Makes one `LoRALayer` for each operation that holds a chosen part."""
        for site, rows in self._targets(anatomy):
            if isinstance(site.module, nn.Conv2d) and site.module.groups > 1:
                raise UserError(
                    f'LoRA cannot update the grouped convolution {site.name!r} '
                    f'(groups={site.module.groups}): leave role {site.role!r} out of parts'
                )
            self.layers[module_key(site)] = LoRALayer(
                site.module, rows, rank=self.rank, alpha=self.alpha, dropout=self.dropout
            )

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks each layer to its operation."""
        for site, _ in self._targets(anatomy):
            self.hook(site, self.layers[module_key(site)])

    @torch.no_grad()
    def fold(self) -> None:
        """Folds s B A into each weight."""
        assert self._anatomy is not None
        for site, _ in self._targets(self._anatomy):
            layer = self.layers[module_key(site)]
            assert isinstance(layer, LoRALayer)
            site.module.weight += layer.delta_weight()

    def _targets(self, anatomy: Anatomy) -> list[tuple[OpSite, Rows]]:
        wanted = self.parts
        if wanted is None:
            known = part_names(anatomy, blocks=self.blocks)
            wanted = tuple(part for part in DEFAULT_PARTS if part in known)
        return find_targets(anatomy, 'LoRA', parts=wanted, blocks=self.blocks)
