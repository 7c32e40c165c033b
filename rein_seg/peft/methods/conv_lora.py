"""Conv-LoRA: a low-rank update whose bottleneck passes one of several convolutions.

B batch rows of the operation (images or windows), N patch tokens, P prefix tokens, H x W grid,
r rank, n experts, k experts chosen for a row, s = alpha / r.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.arguments import Count, Names, NotNegative, Positive, Probability
from rein_seg.peft.choose import Rows, check_pointwise, rows_of
from rein_seg.peft.context import Context
from rein_seg.peft.layered import OperationMethod
from rein_seg.peft.parts.low_rank import apply_down, apply_up, conv_options, scatter_rows
from rein_seg.peft.parts.mixture import Experts, Gate
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import OpSite


class ConvLoRALayer(nn.Module):
    """Adds s B (d + E(d)), d = A x, to the output of one linear or 1x1 convolution.

    Args:
        op: The frozen `nn.Linear`, or 1x1 `nn.Conv2d`.
        rows: Slices (start, stop) of the output channels that B writes to.
        rank: r.
        alpha: Numerator of s.
        dropout: Probability for the input of A, in training.
        scales: Scale of each expert.
        mode: Interpolation.
        multiply_by_gates: Whether E(d) is the sum of gate times expert, or of experts.
        **gate: Options of `Gate`.

    Attributes:
        aux: Scalar `balance` of the last forward pass, until `ConvLoRA.aux_losses` takes it.

    Shapes:
        lora_A: (r, in); lora_B: (sum of slice widths, r).
    """

    def __init__(
        self,
        op: nn.Linear | nn.Conv2d,
        rows: Rows,
        *,
        rank: int,
        alpha: float,
        dropout: float,
        scales: Sequence[int],
        mode: str,
        multiply_by_gates: bool,
        **gate: Any,
    ) -> None:
        super().__init__()
        out_features, in_features = op.weight.shape[:2]
        self.scaling = alpha / rank
        self.multiply_by_gates = multiply_by_gates
        self.rows, self.out_features = rows, out_features
        self.conv = conv_options(op)
        self.dropout = nn.Dropout(dropout)
        width = sum(stop - start for start, stop in rows)
        self.lora_A = nn.Parameter(torch.empty(rank, in_features))
        self.lora_B = nn.Parameter(torch.zeros(width, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.gate = Gate(rank, len(scales), **gate)
        self.experts = Experts(rank, scales, mode=mode)
        self.aux: Tensor | None = None
        self.to(device=op.weight.device, dtype=op.weight.dtype)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the loss of the last pass out of copies: its graph cannot be copied."""
        return {**self.__dict__, 'aux': None}

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns ``y`` with the update of ``x`` added; prefix tokens get s B A x."""
        kernel = self.lora_A if self.conv is None else self.lora_A[:, :, None, None]
        d = apply_down(self.dropout(x), kernel, self.conv)  # (..., r), or (B, r, H, W)
        z = d + context.from_grid(self.expert_delta(context.to_grid(d), context), d).to(d.dtype)
        up = scatter_rows(self.lora_B, self.rows, self.out_features)
        return y + apply_up(self.scaling * z, up, self.conv)  # scaled while it is r channels wide

    def expert_delta(self, d: Tensor, context: Context) -> Tensor:
        """Returns (B, r, H, W) E(d) in float32, also under autocast; notes the balance."""
        with torch.autocast(device_type=d.device.type, enabled=False):
            d = d.float()
            chosen, gates, aux = self.gate(d.mean((2, 3)))
            if not context.recomputing:
                self.aux = aux
            return self.experts(d, chosen, gates if self.multiply_by_gates else None)


@PEFT_METHODS.register_module()
class ConvLoRA(OperationMethod):
    """Updates chosen linears through a mixture of convolutions: y = W x + b + s B (d + E(d)).

    d = A x; E is the expert that a gate chooses for each row of the batch: a 3x3 convolution and
    GELU on the grid enlarged by the expert's scale. A row is a window in windowed attention,
    padding included, and an image elsewhere.

    Args:
        targets: Operations by role (qkv, proj, fc1, fc2, ...): linears and 1x1 convolutions; a
            fused operation has one bottleneck. Names of its parts (q, k, v) leave the rest of its
            output unchanged.
        rank: r.
        alpha: s = alpha / r.
        dropout: Probability for the input of A, in training.
        blocks: Block indexes; None takes all, negative indexes count from the end.
        num_experts: n.
        scales: Scale of each expert; None takes 1 to n.
        top_k: k experts for each row.
        noise: Whether the gate's logits are noisy in training. Without noise, and with
            multiply_by_gates False, nothing trains the gate.
        noise_eps: Least standard deviation of the noise.
        multiply_by_gates: Whether experts are weighted by their gates (no effect if k = 1: the gate
            is 1).
        loss_coef: Factor of one layer's balance loss.
        loss_weight: Factor of their sum.
        interpolate: ``bicubic`` or ``bilinear``.

    Shapes:
        OP(block, role): (..., in) -> (..., out); prefix tokens get plain LoRA, E = 0.

    Raises:
        UserError: If top_k or the scales do not fit num_experts, the encoder lacks a target, or it
            is a convolution that is not 1x1.

    Source: Zhong et al., ICLR 2024 (arXiv 2401.17868), Sec. 3, as the official code computes it:
    experts end in GELU, gates of k = 1 are not multiplied in. Differs from it: k > 1 sums experts
    (there: log of the sum of exponentials, unreachable by configuration); prefix tokens are
    allowed; idle experts get zero gradients, so weight decay and momentum still act on them
    (there: no gradient).

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='ConvLoRA', num_experts=4))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        21312
        >>> import torch
        >>> _ = backbone(torch.randn(2, 3, 64, 64))
        >>> list(backbone.peft.aux_losses())
        ['loss_balance']
    """

    why_not_mergeable = (
        'its convolution mixes neighbouring positions and its experts depend on the features'
    )

    def __init__(
        self,
        targets: Names = ('qkv',),
        *,
        rank: Count = 3,
        alpha: Positive = 32,
        dropout: Probability = 0.0,
        blocks: Sequence[int] | None = None,
        num_experts: Count = 8,
        scales: Sequence[Count] | None = None,
        top_k: Count = 1,
        noise: bool = True,
        noise_eps: NotNegative = 0.01,
        multiply_by_gates: bool = False,
        loss_coef: NotNegative = 0.01,
        loss_weight: NotNegative = 1.0,
        interpolate: Literal['bicubic', 'bilinear'] = 'bicubic',
    ) -> None:
        super().__init__(targets, blocks)
        scales = tuple(range(1, num_experts + 1)) if scales is None else tuple(scales)
        if top_k > num_experts:
            raise UserError(f'ConvLoRA top_k={top_k}: expected 1 to num_experts={num_experts}')
        if len(scales) != num_experts:
            raise UserError(
                f'ConvLoRA scales={list(scales)}: expected num_experts={num_experts} whole numbers'
            )
        self.loss_coef, self.loss_weight = loss_coef, loss_weight
        self._options: dict[str, Any] = dict(
            rank=rank,
            alpha=alpha,
            dropout=dropout,
            scales=scales,
            mode=interpolate,
            multiply_by_gates=multiply_by_gates,
            top_k=top_k,
            noisy=noise,
            noise_eps=noise_eps,
        )

    def make_layer(self, site: OpSite) -> nn.Module:
        """Returns a `ConvLoRALayer`."""
        check_pointwise(site, 'ConvLoRA')
        return ConvLoRALayer(site.module, rows_of(site), **self._options)

    def aux_losses(self) -> dict[str, Tensor]:
        """Returns the balance loss of the last forward pass, summed over the layers, once.

        The layers keep nothing of the pass after that.
        """
        taken = []
        for layer in self.layers.values():
            assert isinstance(layer, ConvLoRALayer)
            if layer.aux is not None:
                taken.append(layer.aux)
            layer.aux = None
        if not taken:
            return {}
        return {'loss_balance': self.loss_weight * self.loss_coef * torch.stack(taken).sum()}


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames one official layer's tensors for `ConvLoRALayer`.

    lora_A, lora_B stay; lora_moe_gating.w_gate, w_noise -> gate.w_gate, gate.w_noise;
    lora_moe_experts.{i}.0.weight, bias -> experts.weight[i], experts.bias[i]. The frozen weight
    and bias and the gate's constants mean and std are left out.

    Args:
        state: Tensors by official name, without the layer's prefix.
    """
    own = {name: state[name] for name in ('lora_A', 'lora_B')}
    for name in ('w_gate', 'w_noise'):
        own[f'gate.{name}'] = state[f'lora_moe_gating.{name}']
    num_experts = own['gate.w_gate'].shape[1]
    for name in ('weight', 'bias'):
        each = [state[f'lora_moe_experts.{i}.0.{name}'] for i in range(num_experts)]
        own[f'experts.{name}'] = torch.stack(each)
    return own
