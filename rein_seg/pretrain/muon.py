"""Muon, an optimiser that orthogonalises the momentum of matrices; AdamW for all other tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

# of Jordan et al.: few iterations suffice, at the price of singular values only near 1
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(Optimizer):
    """Steps along the orthogonalised momentum of each matrix.

    A matrix of several ``parts`` (rows of query, key, value) is treated as several matrices. Steps
    are as large as AdamW's, so both can share a learning rate.

    Args:
        matrices: Parameters of two dimensions, each with its number of parts.
        lr: Learning rate.
        momentum: Momentum of the gradients.
        weight_decay: Decoupled weight decay, multiplied by the learning rate.

    Source: Jordan et al., 2024, and for the step's size Liu et al., arXiv 2502.16982, Sec. 2.2.
    Differs from it: matrices of equal shape are orthogonalised in one batch.
    """

    def __init__(
        self,
        matrices: Iterable[tuple[nn.Parameter, int]],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
    ) -> None:
        groups: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for param, parts in matrices:
            groups.setdefault((parts, *param.shape), []).append(param)
        listed = [{'params': params, 'parts': key[0]} for key, params in sorted_items(groups)]
        super().__init__(listed, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Makes a step along the gradients."""
        for group in self.param_groups:
            params, parts, momentum = group['params'], group['parts'], group['momentum']
            updates = []
            for param in params:
                state = self.state[param]
                if 'momentum' not in state:
                    state['momentum'] = torch.zeros_like(param)
                state['momentum'].lerp_(param.grad, 1 - momentum)
                updates.append(param.grad.lerp(state['momentum'], momentum))
            # (matrices x parts, rows, columns): one batched product serves all
            stack = torch.stack(updates).unflatten(1, (parts, -1)).flatten(0, 1)
            # an orthogonal matrix then has the root mean square of an AdamW step
            scale = 0.2 * max(stack.shape[-2:]) ** 0.5
            change = orthogonal(stack).unflatten(0, (-1, parts)).flatten(1, 2) * scale
            for param, delta in zip(params, change, strict=True):
                param.mul_(1 - group['lr'] * group['weight_decay'])
                param.add_(delta, alpha=-group['lr'])


def sorted_items(groups: Mapping) -> list:
    """Returns the items of a mapping, sorted by key."""
    return sorted(groups.items(), key=lambda item: item[0])


def orthogonal(matrices: Tensor, *, iterations: int = 5) -> Tensor:
    """Returns (M, R, C) with all singular values about 1, by Newton-Schulz iterations.

    Example:
        >>> import torch
        >>> from rein_seg.pretrain.muon import orthogonal
        >>> torch.linalg.svdvals(orthogonal(torch.diag(torch.tensor([9.0, 1.0]))[None])).round()
        tensor([[1., 1.]])
    """
    a, b, c = _COEFFICIENTS
    x = matrices.float()
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT  # the Gram matrix of the shorter side is smaller
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.mT).to(matrices.dtype)


def make_optimizers(
    model: nn.Module, *, lr: float, momentum: float, weight_decay: float
) -> list[Optimizer]:
    """Returns Muon for the matrices of the towers' blocks and AdamW for all other tensors."""
    matrices, rest = [], []
    for name, param in model.named_parameters():
        if ('encoder.layers.' in name or '.resblocks.' in name) and param.dim() == 2:
            matrices.append((param, 3 if 'qkv' in name or 'in_proj' in name else 1))
        else:
            rest.append(param)
    plain = [p for p in rest if p.dim() < 2]
    weighty = [p for p in rest if p.dim() >= 2]
    adam = AdamW(
        [{'params': weighty, 'weight_decay': weight_decay}, {'params': plain, 'weight_decay': 0.0}],
        lr=lr,
        betas=(0.9, 0.95),
    )
    return [Muon(matrices, lr=lr, momentum=momentum, weight_decay=weight_decay), adam]
