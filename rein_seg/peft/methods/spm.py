"""SPM: between stages, a prompt computed from the features and an interim semantic map.

B batch, N patch tokens, C channels, K classes, d hidden, H x W grid, h x w pixels, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.arguments import Count, NotNegative
from rein_seg.peft.context import Context
from rein_seg.peft.layered import LayerMethod
from rein_seg.peft.parts.stages import stage_starts
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, StreamSite


class Matcher(nn.Module):
    """Computes T times, with the same weights: m = classify(LN(x)); x <- x + prompt(x, m).

    The prompt is up(gelu(dw3x3(mix([down(x), embed(softmax(m))])))), where up starts at zero.

    Args:
        channels: C.
        num_classes: K.
        hidden: d.
        num_steps: T.

    Attributes:
        logits: The (B, N, K) maps of the last forward pass in training and their grid, until
            `take_logits` returns them.
    """

    def __init__(self, channels: int, num_classes: int, hidden: int, *, num_steps: int) -> None:
        super().__init__()
        self.num_steps = num_steps
        self.norm = nn.LayerNorm(channels)
        self.classify = nn.Linear(channels, num_classes)
        self.down = nn.Linear(channels, hidden)
        self.embed = nn.Linear(num_classes, hidden)
        self.mix = nn.Linear(2 * hidden, hidden)
        self.conv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.up = nn.Linear(hidden, channels)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.logits: list[tuple[Tensor, tuple[int, int]]] = []

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the maps of the last pass out of copies: their graph cannot be copied."""
        return {**self.__dict__, 'logits': []}

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Returns the update of the stream; zero for prefix tokens."""
        tokens, grid = context.to_tokens(x), context.grid(x)
        start, logits = tokens, []
        for _ in range(self.num_steps):
            logits.append((self.classify(self.norm(tokens)), grid))
            tokens = tokens + self.prompt(tokens, logits[-1][0], grid)
        # maps of the second pass of activation checkpointing have another graph
        if self.training and not context.recomputing:
            self.logits = logits
        return context.from_tokens(tokens - start, x)

    def prompt(self, tokens: Tensor, logits: Tensor, grid: tuple[int, int]) -> Tensor:
        """Returns the (B, N, C) prompt of (B, N, C) features and their (B, N, K) map."""
        parts = (self.down(tokens), self.embed(logits.softmax(-1).to(tokens.dtype)))
        z = self.mix(torch.cat(parts, dim=-1)).transpose(1, 2).unflatten(2, grid)  # (B, d, H, W)
        return self.up(F.gelu(self.conv(z)).flatten(2).transpose(1, 2))

    def take_logits(self) -> list[Tensor]:
        """Returns the (B, K, H, W) maps of the last pass in training, once."""
        taken, self.logits = self.logits, []
        return [m.transpose(1, 2).unflatten(2, grid) for m, grid in taken]


@PEFT_METHODS.register_module()
class SPM(LayerMethod):
    """Adds a prompt, guided by an interim semantic map, to the stream between two stages.

    The maps have their own loss: the mean of their cross-entropies with the labels, read at the
    nearest pixel of each place of the grid.

    Args:
        num_classes: K; a segmentor fills it in.
        reduction: C / d.
        num_steps: T.
        feed: ``next``: the prompt goes to the next stage only. ``both``: to the head as well,
            where the stage's output is one of its maps.
        loss_weight: Factor of the maps' loss.
        num_stages: Number of even groups of blocks that a plain encoder is divided into.

    Shapes:
        STREAM(first block of every stage after the first, in) or, with ``both``, (last block of
        every stage before the last, out): (..., C) -> the same; prefix tokens pass unchanged.

    Raises:
        UserError: If there is no num_classes, or the encoder has a single block.

    Source: Liu et al., arXiv 2208.10159 (prompt-matched semantic segmentation), after its
    abstracts: place, guidance and recurrence. The inside of the matcher is our own definition; no
    official code was found, so it is not tested by numbers.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='SPM', num_classes=19, num_stages=2))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        15379
        >>> import torch
        >>> labels = torch.zeros(1, 64, 64, dtype=torch.long)
        >>> _ = backbone(torch.randn(1, 3, 64, 64))
        >>> list(backbone.peft.label_losses(labels, ignore_index=255))
        ['loss_interim']
    """

    filled_in = ('num_classes',)
    why_not_mergeable = 'it convolves, and its prompts depend on the features'

    def __init__(
        self,
        num_classes: Count | None = None,
        *,
        reduction: Count = 8,
        num_steps: Count = 2,
        feed: Literal['next', 'both'] = 'next',
        loss_weight: NotNegative = 0.4,
        num_stages: Count = 4,
    ) -> None:
        super().__init__()
        if num_classes is None:
            raise UserError(
                'SPM num_classes=None: a segmentor fills it in; a backbone on its own needs '
                'peft.num_classes'
            )
        self.num_classes, self.reduction, self.num_steps = num_classes, reduction, num_steps
        self.feed, self.loss_weight, self.num_stages = feed, loss_weight, num_stages

    def find_sites(self, anatomy: Anatomy) -> Sequence[StreamSite]:
        """Returns the boundaries between stages."""
        starts = stage_starts(anatomy, self.num_stages)[1:]
        if not starts:
            raise UserError(
                f'SPM sits between stages, and this {anatomy.family!r} encoder has one only '
                f'({anatomy.num_blocks} blocks, num_stages={self.num_stages})'
            )
        if self.feed == 'both':
            return anatomy.find(StreamSite, where='out', blocks=[start - 1 for start in starts])
        return anatomy.find(StreamSite, where='in', blocks=starts)

    def make_layer(self, site: StreamSite) -> nn.Module:
        """Returns the matcher at one boundary."""
        hidden = max(1, site.channels // self.reduction)
        return Matcher(site.channels, self.num_classes, hidden, num_steps=self.num_steps)

    def label_losses(self, labels: Tensor, *, ignore_index: int) -> dict[str, Tensor]:
        """Returns the loss of the interim maps of the last forward pass in training, once."""
        taken = []
        for layer in self.layers.values():
            assert isinstance(layer, Matcher)
            taken += [interim_loss(m, labels, ignore_index) for m in layer.take_logits()]
        return {'loss_interim': self.loss_weight * torch.stack(taken).mean()} if taken else {}


def interim_loss(logits: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """Computes the mean cross-entropy over the places that are not ignored; 0 if all are.

    Args:
        logits: (B, K, H, W).
        labels: (B, h, w) int64.
        ignore_index: Label of pixels without a class.

    Example:
        >>> import torch
        >>> from rein_seg.peft.methods.spm import interim_loss
        >>> labels = torch.tensor([[[0, 255], [255, 255]]])
        >>> interim_loss(torch.zeros(1, 2, 2, 2), labels, 255)  # ln 2, of a single place
        tensor(0.6931)
    """
    coarse = F.interpolate(labels[:, None].float(), size=logits.shape[2:], mode='nearest-exact')
    targets = coarse[:, 0].long()
    losses = F.cross_entropy(logits.float(), targets, ignore_index=ignore_index, reduction='sum')
    return losses / (targets != ignore_index).sum().clamp(min=1)
