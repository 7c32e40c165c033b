"""Training in which a head's masks of attention are opened block by block.

M blocks of the head that mask their queries, t updates of the optimizer done, T of the whole run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmseg.registry import HOOKS
from torch import nn

from rein_seg.engine.ema import updates
from rein_seg.errors import UserError
from rein_seg.heads.contract import DecodeHead
from rein_seg.rules import NotNegative, Positive

Span = tuple[float, float]


@HOOKS.register_module()
class MaskAnnealingHook(Hook):
    """Lowers the probability that a block masks its queries from 1 to 0, one block after another.

    It sets ``attn_mask_probs`` of the head after each update of the optimizer, see
    `mask_probability`: accumulated gradients count once. A resumed run takes the value of its
    update, so it goes on as if it had never stopped. A run that ends before the last block is open
    is told in the log; its tests predict a mask in front of each block that is still closed.

    Args:
        starts: Update in which each of the M blocks begins to open, rising. None divides the run
            into M + 2 equal parts: block l (from 0) opens in part l + 1.
        ends: Update in which each block is open.
        power: Of the fall between them.

    Raises:
        UserError: If one of ``starts`` and ``ends`` is missing, they have different lengths, the
            starts do not rise, a block ends before it starts, the model has no head with masks, or
            the number of its blocks is another.

    Source: Kerssies et al., "Your ViT is Secretly an Image Segmentation Model" (CVPR 2025),
    Sec. 3.3. Its runs on ADE20K and Cityscapes open DINOv2's four blocks in sixths.

    Example:
        >>> from types import SimpleNamespace
        >>> from rein_seg.engine import MaskAnnealingHook
        >>> from rein_seg.heads import EoMTHead
        >>> head = EoMTHead(8, num_classes=2, in_strides=16, num_queries=3, num_blocks=2)
        >>> wrapper = SimpleNamespace(should_update=lambda: True, _accumulative_counts=1)
        >>> runner = SimpleNamespace(
        ...     iter=0, max_iters=8, bare_model=head, optim_wrapper=wrapper)
        >>> hook = MaskAnnealingHook()
        >>> hook.before_train(runner)
        >>> for runner.iter in range(4):
        ...     hook.after_train_iter(runner, runner.iter)
        >>> head.attn_mask_probs  # after 4 of 8 updates the first block is open
        tensor([0., 1.])
    """

    # before CheckpointHook, which saves the probabilities
    priority = 'NORMAL'

    def __init__(
        self,
        starts: Sequence[NotNegative] | None = None,
        ends: Sequence[NotNegative] | None = None,
        *,
        power: Positive = 0.9,
    ) -> None:
        _check(starts, ends)
        self.starts, self.ends, self.power = starts, ends, power

    def before_train(self, runner: Any) -> None:
        """Sets the probabilities of the update from which the run starts or resumes."""
        last = updates(runner, runner.max_iters)
        for head in mask_heads(runner.bare_model):
            spans = self.spans(len(head.attn_mask_probs), last)
            closed = sum(end > last for _, end in spans)
            if closed:
                print_log(
                    f'MaskAnnealingHook: the run ends after {last} updates of the optimizer, and '
                    f'{closed} of {len(spans)} blocks end later (ends={[end for _, end in spans]}):'
                    f' they are not open by then, which makes tests slower; train longer, or leave '
                    f'starts and ends out',
                    logger='current',
                    level=logging.WARNING,
                )
        self._set(runner, runner.iter // runner.optim_wrapper._accumulative_counts)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Sets the probabilities, unless gradients are being accumulated."""
        if runner.optim_wrapper.should_update():
            self._set(runner, updates(runner, runner.iter + 1))

    def spans(self, blocks: int, last: int) -> list[Span]:
        """Returns (start, end) of each block in updates of the optimizer.

        Args:
            blocks: M.
            last: T.

        Raises:
            UserError: If the hook was given another number of blocks.
        """
        if self.starts is None or self.ends is None:
            part = last / (blocks + 2)
            return [(part * (block + 1), part * (block + 2)) for block in range(blocks)]
        if len(self.starts) != blocks:
            raise UserError(
                f'MaskAnnealingHook: {len(self.starts)} starts ({list(self.starts)}), but the '
                f'head has {blocks} blocks: give one start and one end for each, or leave both out'
            )
        return list(zip(self.starts, self.ends, strict=True))

    def _set(self, runner: Any, step: int) -> None:
        last = updates(runner, runner.max_iters)
        for head in mask_heads(runner.bare_model):
            probs = head.attn_mask_probs
            spans = self.spans(len(probs), last)
            values = [mask_probability(step, *span, power=self.power) for span in spans]
            with torch.no_grad():
                probs.copy_(torch.tensor(values))


def mask_probability(step: int, start: float, end: float, *, power: float = 0.9) -> float:
    """Returns the probability of a mask: 1 before ``start``, 0 from ``end`` on.

    Between them it is (1 - (t - start) / (end - start)) ** power.

    Args:
        step: t.
        start: Update in which it begins to fall.
        end: Update in which it is 0.
        power: Of the fall.

    Example:
        >>> from rein_seg.engine.mask_annealing import mask_probability
        >>> [round(mask_probability(step, 10, 20), 3) for step in (0, 10, 15, 19, 20)]
        [1.0, 1.0, 0.536, 0.126, 0.0]
    """
    if step < start:
        return 1.0
    if step >= end:
        return 0.0
    return (1 - (step - start) / (end - start)) ** power


def mask_heads(model: nn.Module) -> list[Any]:
    """Returns the heads of a model whose masks are opened in training.

    Raises:
        UserError: If there is none.

    Example:
        >>> from rein_seg.engine.mask_annealing import mask_heads
        >>> from rein_seg.heads import EoMTHead
        >>> head = EoMTHead(8, num_classes=2, in_strides=16, num_queries=3)
        >>> mask_heads(head) == [head]
        True
    """
    found = [m for m in model.modules() if isinstance(m, DecodeHead) and m.anneals_masks]
    if not found:
        heads = sorted({type(m).__name__ for m in model.modules() if isinstance(m, DecodeHead)})
        raise UserError(
            f'MaskAnnealingHook: no head of the model has masks to open (heads: {heads}), expected '
            'such as EoMTHead; leave the hook out'
        )
    return found


def _check(starts: Sequence[float] | None, ends: Sequence[float] | None) -> None:
    if starts is None and ends is None:
        return
    said = f'MaskAnnealingHook: starts={_said(starts)}, ends={_said(ends)}'
    if starts is None or ends is None or len(starts) != len(ends):
        raise UserError(f'{said}; expected a start and an end of each block, or neither')
    if any(first > second for first, second in pairwise(starts)):
        raise UserError(f'{said}; expected rising starts: the first block opens first')
    if any(end < start for start, end in zip(starts, ends, strict=True)):
        raise UserError(f'{said}; expected each end behind its start')


def _said(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else list(values)
