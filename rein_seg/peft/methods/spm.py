"""SPM: between stages, a prompt computed from the features and an interim semantic map.

B batch, N patch tokens, C channels, K classes, d hidden, H x W grid, T steps.
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
from rein_seg.peft.parts.interim import interim_loss, soft_interim_loss
from rein_seg.peft.parts.stages import stage_starts
from rein_seg.registry import PEFT_METHODS, reconstruction
from rein_seg.resize import resize_to
from rein_seg.structures import Anatomy, StreamSite

Map = tuple[Tensor, tuple[int, int]]  # (B, N, K) logits and (H, W)


class Matcher(nn.Module):
    """Computes T times, with the same weights: m = classify(LN(x)); x <- x + prompt(x, m).

    The prompt is up(gelu(dw3x3(mix([down(x), embed(softmax(m))])))), where up starts at zero. With
    ``before``, the last map m' of the matcher there is added: m = classify(LN(x)) + carry(resize(
    m')), where carry starts at zero.

    Args:
        channels: C.
        num_classes: K.
        hidden: d.
        num_steps: T.
        hands_on: Whether a matcher follows that reads the last map.
        before: The matcher at the boundary before, which hands its last map on.

    Attributes:
        logits: The (B, N, K) maps of the last forward pass in training and their grid, until
            `take_logits` returns them.
        handed: The last of them, for the matcher that follows.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        hidden: int,
        *,
        num_steps: int,
        hands_on: bool = False,
        before: Matcher | None = None,
    ) -> None:
        super().__init__()
        self.num_steps, self.hands_on = num_steps, hands_on
        self._before = (before,)  # in a tuple: its parameters are not part of this module
        if before is not None:
            self.carry = nn.Linear(num_classes, num_classes, bias=False)
            nn.init.zeros_(self.carry.weight)
        self.norm = nn.LayerNorm(channels)
        self.classify = nn.Linear(channels, num_classes)
        self.down = nn.Linear(channels, hidden)
        self.embed = nn.Linear(num_classes, hidden)
        self.mix = nn.Linear(2 * hidden, hidden)
        self.conv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.up = nn.Linear(hidden, channels)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.logits: list[Map] = []
        self.handed: Map | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the maps of the last pass out of copies: their graph cannot be copied."""
        return {**self.__dict__, 'logits': [], 'handed': None}

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Returns the update of the stream; zero for prefix tokens."""
        tokens, grid = context.to_tokens(x), context.grid(x)
        start, logits, carried = tokens, [], self.carried_map(grid)
        for _ in range(self.num_steps):
            own = self.classify(self.norm(tokens))
            logits.append((own if carried is None else own + carried, grid))
            tokens = tokens + self.prompt(tokens, logits[-1][0], grid)
        # maps of the second pass of activation checkpointing have another graph
        if not context.recomputing:
            self.logits = logits if self.training else self.logits
            self.handed = logits[-1] if self.hands_on else None
        return context.from_tokens(tokens - start, x)

    def carried_map(self, grid: tuple[int, int]) -> Tensor | None:
        """Returns the (B, N, K) map that the matcher before adds, if there is one."""
        (before,) = self._before
        if before is None:
            return None
        assert before.handed is not None, 'the matcher before did not run'
        resized = resize_to(as_map(*before.handed), grid)
        if not self.training:  # no second pass of activation checkpointing will read it
            before.handed = None
        return self.carry(resized.flatten(2).transpose(1, 2))

    def prompt(self, tokens: Tensor, logits: Tensor, grid: tuple[int, int]) -> Tensor:
        """Returns the (B, N, C) prompt of (B, N, C) features and their (B, N, K) map."""
        parts = (self.down(tokens), self.embed(logits.softmax(-1).to(tokens.dtype)))
        z = self.mix(torch.cat(parts, dim=-1)).transpose(1, 2).unflatten(2, grid)  # (B, d, H, W)
        return self.up(F.gelu(self.conv(z)).flatten(2).transpose(1, 2))

    def take_logits(self) -> list[Tensor]:
        """Returns the (B, K, H, W) maps of the last pass in training, once."""
        taken, self.logits = self.logits, []
        return [as_map(m, grid) for m, grid in taken]


def as_map(logits: Tensor, grid: tuple[int, int]) -> Tensor:
    """Returns (B, N, K) logits as (B, K, H, W)."""
    return logits.transpose(1, 2).unflatten(2, grid)


@PEFT_METHODS.register_module()
@reconstruction(
    'SPM: place, guidance by an interim map and recurrence are from the abstracts of'
    ' arXiv 2208.10159, the inside of the matcher and all numbers are ours'
)
class SPM(LayerMethod):
    """Adds a prompt, guided by an interim semantic map, to the stream between two stages.

    The maps have their own loss: the mean of their cross-entropies with the labels.

    Args:
        num_classes: K; a segmentor fills it in.
        reduction: C / d.
        num_steps: T.
        recurrence: ``within``: the T steps of each matcher are the recurrence. ``across``: besides,
            the last map of each matcher, resized and projected by a 1x1 convolution that starts at
            zero, is added to the maps of the next; ``num_steps=1`` leaves this recurrence alone.
        interim_labels: ``nearest``: a place of the grid has the label of its nearest pixel, so a
            class thinner than a patch can vanish. ``soft``: the class shares of the place.
        feed: ``next``: the prompt goes to the next stage only. ``both``: to the head as well,
            where the stage's output is one of its maps.
        loss_weight: Factor of the maps' loss.
        num_stages: Number of even groups of blocks that a plain encoder is divided into.

    Shapes:
        STREAM(first block of every stage after the first, in) or, with ``both``, (last block of
        every stage before the last, out): (..., C) -> the same; prefix tokens pass unchanged.

    Raises:
        UserError: If there is no num_classes, the encoder has a single block, or maps shall go
            across boundaries and there is a single boundary.

    Source: Liu et al., arXiv 2208.10159 (prompt-matched semantic segmentation), after its
    abstracts, which give place, guidance and recurrence. Version 1 calls the prompts inter-stage
    and names five benchmarks, version 3 stage-wise and four. Its "progressive, recurrent" can mean
    steps inside a matcher or a state carried from matcher to matcher: see ``recurrence``. No
    official code was found, so it is not tested by numbers.
    Differs from it: the inside of the matcher is our own definition. Ours are also T = 2, the
    reduction of 8, the softmax of the guiding map, the start at zero, the weight of 0.4 and the
    soft labels.

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
        recurrence: Literal['within', 'across'] = 'within',
        interim_labels: Literal['nearest', 'soft'] = 'nearest',
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
        self.recurrence, self.interim_labels = recurrence, interim_labels
        self.feed, self.loss_weight, self.num_stages = feed, loss_weight, num_stages

    def find_sites(self, anatomy: Anatomy) -> Sequence[StreamSite]:
        """Returns the boundaries between stages."""
        starts = stage_starts(anatomy, self.num_stages)[1:]
        if not starts:
            raise UserError(
                f'SPM sits between stages, and this {anatomy.family!r} encoder has one only '
                f'({anatomy.num_blocks} blocks, num_stages={self.num_stages})'
            )
        if self.recurrence == 'across' and len(starts) == 1:
            raise UserError(
                f"SPM recurrence='across': this {anatomy.family!r} encoder has one boundary "
                f'between stages ({anatomy.num_blocks} blocks, num_stages={self.num_stages}); '
                'expected two or more, for maps go from boundary to boundary; take '
                "recurrence='within'"
            )
        if self.feed == 'both':
            return anatomy.find(StreamSite, where='out', blocks=[start - 1 for start in starts])
        return anatomy.find(StreamSite, where='in', blocks=starts)

    def make_layer(self, site: StreamSite) -> nn.Module:
        """Returns the matcher at one boundary."""
        hidden, across = max(1, site.channels // self.reduction), self.recurrence == 'across'
        return Matcher(
            site.channels,
            self.num_classes,
            hidden,
            num_steps=self.num_steps,
            hands_on=across,
            before=self._last_matcher() if across else None,
        )

    def _last_matcher(self) -> Matcher | None:
        return next((x for x in [*self.layers.values()][::-1] if isinstance(x, Matcher)), None)

    def label_losses(self, labels: Tensor, *, ignore_index: int) -> dict[str, Tensor]:
        """Returns the loss of the interim maps of the last forward pass in training, once."""
        compute = soft_interim_loss if self.interim_labels == 'soft' else interim_loss
        taken = []
        for layer in self.layers.values():
            assert isinstance(layer, Matcher)
            taken += [compute(m, labels, ignore_index) for m in layer.take_logits()]
        return {'loss_interim': self.loss_weight * torch.stack(taken).mean()} if taken else {}
