"""Queries of a head inside the encoder: they pass through its last blocks beside the patches.

B batch, Q queries, P prefix tokens (class, registers, prompts), N patch tokens, T = P + Q + N, C
channels, M blocks, H x W grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from rein_seg.errors import UserError
from rein_seg.peft.context import Context
from rein_seg.peft.hooks import SeqHook
from rein_seg.structures import Anatomy, JoinedPass, SeqSite, Undo


class JoinedQueries:
    """Inserts the queries of a head in front of the last M blocks and takes them out behind each.

    They follow the prefix tokens and the tokens that the PEFT method inserts (prompts), whatever
    the method; no operation of a block is changed, so patches attend to the queries, too. In front
    of a block the head can predict from the joined sequence, and say which patches each query may
    attend to in the block; every other token stays visible.

    Args:
        head: With ``joins_encoder``: it has ``num_blocks`` (M), ``first_queries``, ``plan``,
            ``predict_tokens`` and ``look``, as `PlainMaskHead`.
        anatomy: Of the encoder, which must keep its final norm: queries and patches pass it before
            every prediction.

    Raises:
        UserError: If the encoder is no plain transformer with M blocks whose attention takes a
            mask, or its last map does not come from its last block.

    Source: Kerssies et al., "Your ViT is Secretly an Image Segmentation Model" (CVPR 2025), Sec.
    3.1 and 3.2.

    Example:
        >>> import torch
        >>> from rein_seg.heads import EoMTHead
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> encoder = dict(type='TinyViT', final_norm=True, init_seed=0)
        >>> backbone = PEFTBackbone(encoder, dict(type='LoRA', rank=2))
        >>> backbone.join(EoMTHead(192, num_classes=3, in_strides=16, num_queries=5))
        >>> features = backbone(torch.randn(1, 3, 64, 64))
        >>> features.queries.shape, len(features.early)  # a prediction in front of three blocks
        (torch.Size([1, 5, 192]), 3)
    """

    def __init__(self, head: Any, anatomy: Anatomy) -> None:
        self.head = head
        self.state = anatomy.state
        self.norm = anatomy.final_norm
        self.sites = _last_sites(type(head).__name__, head.num_blocks, anatomy)
        blocks = [_Block(self, index) for index in range(len(self.sites))]
        self.hooks = [
            SeqHook(site, block.insert, anatomy, collect=block.collect, mask=block.mask)
            for site, block in zip(self.sites, blocks, strict=True)
        ]
        self._early: list[Any] = []
        self._found: Tensor | None = None

    def register(self) -> list[Undo]:
        """Registers the hooks; call it after the PEFT method has registered its own."""
        pairs = zip(self.hooks, self.sites, strict=True)
        return [handle for hook, site in pairs for handle in hook.register(site)]

    @contextmanager
    def running(self, batch: int, given: Tensor | None) -> Iterator[None]:
        """Opens a pass of the encoder, which `result` reads before it is closed.

        Args:
            batch: B.
            given: (Q, C) queries of the PEFT method, or None.
        """
        self._early, self._found = [], None
        self.state.joined = JoinedPass(self.head.first_queries(batch, given), self.head.plan())
        try:
            yield
        finally:  # not stored any longer: a copy of the model cannot copy a part of a graph
            self.state.joined, self._early, self._found = None, [], None

    def result(self) -> tuple[Tensor, tuple[Any, ...]]:
        """Returns the (B, Q, C) normalised queries of the last block, and the early predictions."""
        assert self._found is not None, 'the last block did not run'
        return self.normed(self._found), tuple(self._early)

    def normed(self, x: Tensor) -> Tensor:
        """Returns (..., C) tokens behind the encoder's final norm."""
        assert self.norm is not None
        return self.norm(x)

    def predict(self, x: Tensor, context: Context, count: int) -> Any:
        """Returns the head's prediction from a joined sequence.

        Args:
            x: (B, T, C).
            context: Of the sequence.
            count: Q.
        """
        y = self.normed(x)
        start = context.num_prefix - count
        return self.head.predict_tokens(y[:, start : context.num_prefix], context.to_grid(y))


class _Block:
    """The functions of one block's `SeqHook`, as bound methods: a deep copy follows its copy."""

    def __init__(self, owner: JoinedQueries, index: int) -> None:
        self.owner, self.index = owner, index

    @property
    def _pass(self) -> JoinedPass | None:
        return self.owner.state.joined

    def insert(self, x: Tensor, context: Context) -> Tensor:
        """Returns the (B, Q, C) queries; none if the encoder runs outside its backbone."""
        return x[:, :0] if self._pass is None else self._pass.tokens

    def mask(self, x: Tensor, context: Context) -> Tensor | None:
        """Predicts where the plan says so; returns (B, Q, T): the tokens each query sees."""
        probability = None if self._pass is None else self._pass.plan[self.index]
        if self._pass is None or probability is None:
            return None
        count = self._pass.tokens.shape[1]
        prediction = self.owner.predict(x, context, count)
        if not context.recomputing:
            self.owner._early.append(prediction)
        seen = self.owner.head.look(prediction[1], context.grid(x), self.index, probability)
        if seen is None:
            return None
        others = seen.new_ones(*seen.shape[:2], context.num_prefix)
        return torch.cat((others, seen), dim=2)

    def collect(self, tokens: Tensor, context: Context) -> None:
        """Hands the queries to the next block, or to `JoinedQueries.result`."""
        if self._pass is None or context.recomputing:
            return
        self.owner.state.joined = JoinedPass(tokens, self._pass.plan)
        if self.index == len(self.owner.sites) - 1:
            self.owner._found = tokens


def _last_sites(name: str, number: int, anatomy: Anatomy) -> tuple[SeqSite, ...]:
    """Returns the last SEQ sites of a plain transformer."""
    sites = tuple(site for site in anatomy.sites if isinstance(site, SeqSite))
    plain = len(anatomy.stage_depths) == 1 and len(sites) == anatomy.num_blocks
    if not plain or not anatomy.out_taps or any(site.entry.layout != 'NLC' for site in sites):
        raise UserError(
            f'{name} passes its queries through the last blocks of the encoder, and the '
            f'{anatomy.family!r} encoder holds no plain sequence of tokens: expected a plain '
            'vision transformer, such as DINOv2; take one, or Mask2FormerHead'
        )
    if number > len(sites):
        raise UserError(
            f'{name} num_blocks={number}, but the encoder has {len(sites)} blocks: choose '
            f'{len(sites)} or fewer (3 or 4 are usual)'
        )
    if anatomy.out_taps[-1].module is not sites[-1].exit.module:
        raise UserError(
            f'{name} reads the map of the last block, {len(sites) - 1}, and '
            'encoder.out_indices ends before it: expected it as the last; set '
            f'encoder.out_indices=[{len(sites) - 1}]'
        )
    if anatomy.final_norm is None or not anatomy.norms_maps:
        raise UserError(
            f'{name} reads maps behind the final norm of the encoder, which it does not keep: '
            'expected encoder.final_norm=True; set it'
        )
    without = [site for site in sites[-number:] if not site.takes_mask]
    if without:
        raise UserError(
            f'{name} masks the attention of the last {number} blocks, and block '
            f'{without[0].block} of the {anatomy.family!r} encoder takes no mask: '
            f'{without[0].why_no_mask}; expected a plain vision transformer, such as DINOv2'
        )
    return sites[-number:]
