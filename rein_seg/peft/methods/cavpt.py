"""CAVPT: visual prompts computed from the text of the classes that an image may show.

B batch, N tokens, n selected classes, K classes, C channels of the stream, D width of the joint
space, d width of the attention, P prompts, M learned vectors, L blocks with class-aware prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.arguments import Count, NotNegative, at_least
from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.context import Context
from rein_seg.peft.parts.sequences import sequences
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, Features, SeqSite

_STD = 0.02  # of vectors at the start


class Vectors(nn.Module):
    """Learned vectors ``ctx``, (L, M, C).

    Args:
        blocks: L.
        count: M.
        channels: C.
    """

    def __init__(self, blocks: int, count: int, channels: int) -> None:
        super().__init__()
        self.ctx = nn.Parameter(torch.empty(blocks, count, channels).normal_(std=_STD))


class OneHead(nn.Module):
    """Attention with a single head, whose values are projected after they are mixed.

    Args:
        channels: C.
        dims: d.
    """

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.qmlp = nn.Linear(channels, dims, bias=False)
        self.kmlp = nn.Linear(channels, dims, bias=False)
        self.vmlp = nn.Linear(channels, channels, bias=False)

    def forward(self, queries: Tensor, content: Tensor) -> Tensor:
        """Returns (B, n, C).

        Args:
            queries: (B, n, C).
            content: (B, N, C), keys and values.
        """
        scores = self.qmlp(queries) @ self.kmlp(content).transpose(1, 2)  # (B, n, N)
        weights = (scores * self.qmlp.out_features**-0.5).softmax(-1)
        return self.vmlp(weights.to(content.dtype) @ content)


class Extractor(Vectors):
    """Makes the class-aware prompts of all blocks; names of parts are the official ones.

    Args:
        blocks: L.
        channels: C.
        text_dims: D.
        num_classes: K.
        num_learned: M.
        attention_dims: d.
    """

    def __init__(
        self,
        blocks: int,
        channels: int,
        *,
        text_dims: int,
        num_classes: int,
        num_learned: int,
        attention_dims: int,
    ) -> None:
        super().__init__(blocks, num_learned, channels)
        each = range(blocks)
        self.meta_nets = nn.ModuleList(nn.Linear(text_dims, channels) for _ in each)
        self.attns = nn.ModuleList(OneHead(channels, attention_dims) for _ in each)
        self.lns = nn.ModuleList(nn.LayerNorm(channels) for _ in each)
        self.lns2 = nn.ModuleList(nn.LayerNorm(channels) for _ in each)
        self.classfiers = nn.ModuleList(nn.Linear(channels, num_classes, bias=False) for _ in each)

    def forward(self, tokens: Tensor, text: Tensor, row: int) -> tuple[Tensor, Tensor]:
        """Returns the (B, n, C) prompts of a block, and what the classifier reads.

        Args:
            tokens: (B, N, C), of the block's input.
            text: (B, n, D), of the selected classes.
            row: Index of the block among those with class-aware prompts.
        """
        learned = self.ctx[row].to(tokens.dtype).expand(len(tokens), -1, -1)
        queries = self.meta_nets[row](text)
        found = self.attns[row](queries, torch.cat((tokens.detach(), learned), dim=1))
        return self.lns2[row](found + queries), found

    def classify(self, found: Tensor, row: int) -> Tensor:
        """Returns the (B, n, K) auxiliary logits of a block.

        Args:
            found: From `forward`.
            row: As for `forward`.
        """
        return self.classfiers[row](self.lns[row](found))


@PEFT_METHODS.register_module()
class CAVPT(PEFTMethod):
    """Inserts prompts made for the classes that the image may show; static prompts in lower blocks.

    The frozen encoder looks at the image first. The classes whose names in fixed words are nearest
    to it are selected, and their learned text becomes prompts: a linear gives u, which attends to
    the tokens of the block and to learned vectors; with the result o the prompts are LN(o + u).
    Prompts leave the sequence at the end of their block.

    In training an auxiliary classifier reads LN(o). Its cross entropy is averaged over the prompts
    whose class the image shows, in all blocks; an image of pixel labels shows every class that has
    a pixel. Without such a prompt the loss is 0.

    Args:
        num_classes: K; a model fills it in.
        num_static: P of each lower block.
        num_selected: n; all classes where there are fewer.
        aware_blocks: L, the last blocks, which have class-aware prompts.
        num_learned: M of each block.
        attention_dims: d.
        loss_weight: Factor of the auxiliary loss.

    Shapes:
        SEQ(block): P or n more tokens inside the block.

    Raises:
        UserError: If the encoder has no joint image-text embedding, no tokens, or fewer blocks than
            ``aware_blocks``; if num_classes is missing; or, in a pass, if there is no text.

    Source: Xing et al., IEEE TMM 2023 (dual-modality prompt tuning), and its code. Differs from it:
    any number of blocks, prompts and vectors; computes in any precision; the auxiliary loss also
    for labels of pixels.

    Example:
        >>> import torch
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> encoder = dict(type='TinyCLIP', joint_dims=8, init_seed=0)
        >>> backbone = PEFTBackbone(encoder, dict(type='CAVPT', num_classes=3, num_selected=2))
        >>> text = torch.nn.functional.normalize(torch.randn(3, 8))
        >>> features = backbone(torch.randn(1, 3, 64, 64), text, text)
        >>> features.joint[0].shape, list(backbone.peft.image_losses(torch.tensor([1])))
        (torch.Size([1, 8]), ['loss_classes'])
    """

    filled_in = ('num_classes',)
    looks_first = True
    reads_text = True
    exact_at_start = False
    why_not_mergeable = 'prompts are further tokens, not weights'

    def __init__(
        self,
        num_classes: Count | None = None,
        *,
        num_static: Annotated[int, at_least(0)] = 10,
        num_selected: Count = 10,
        aware_blocks: Count = 1,
        num_learned: Count = 10,
        attention_dims: Count = 32,
        loss_weight: NotNegative = 0.3,
    ) -> None:
        super().__init__()
        if num_classes is None:
            raise UserError(
                'CAVPT num_classes=None: a model fills it in; a backbone on its own needs '
                'peft.num_classes'
            )
        self.num_classes, self.num_selected = num_classes, num_selected
        self.num_static, self.num_learned = num_static, num_learned
        self.aware_blocks, self.attention_dims = aware_blocks, attention_dims
        self.loss_weight = loss_weight
        self.ctx_learner: Vectors | None = None
        self._selected: Tensor | None = None
        self._logits: list[Tensor] = []

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the last pass out of copies: its graph cannot be copied."""
        return {**self.__dict__, '_selected': None, '_logits': []}

    def build(self, anatomy: Anatomy) -> None:
        """Makes the static prompts and the parts that make the others."""
        if anatomy.joint_dims is None:
            raise UserError(
                'CAVPT selects classes by the joint image-text embedding, and the '
                f'{anatomy.family!r} encoder has none: expected a tower of CLIP with joint_dims; '
                'set encoder.joint_dims, or take such a tower'
            )
        lower, upper = self.find_sites(anatomy)
        channels = upper[0].channels
        if lower and self.num_static:
            self.ctx_learner = Vectors(len(lower), self.num_static, channels)
        self.extractor = Extractor(
            len(upper),
            channels,
            text_dims=anatomy.joint_dims,
            num_classes=self.num_classes,
            num_learned=self.num_learned,
            attention_dims=self.attention_dims,
        )

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks to the sequence of every block that gets prompts."""
        lower, upper = self.find_sites(anatomy)
        if self.ctx_learner is None:
            lower = []
        self._rows = {site.block: row for sites in (lower, upper) for row, site in enumerate(sites)}
        for site in lower:
            self.hook(site, self.static_prompts)
        for site in upper:
            self.hook(site, self.aware_prompts)

    def find_sites(self, anatomy: Anatomy) -> tuple[list[SeqSite], list[SeqSite]]:
        """Returns the sequences with static and with class-aware prompts.

        Raises:
            UserError: See `CAVPT`.
        """
        sites = sequences(anatomy, 'CAVPT')
        if self.aware_blocks > len(sites):
            raise UserError(
                f'CAVPT aware_blocks={self.aware_blocks}: the {anatomy.family!r} encoder has '
                f'{len(sites)} blocks with tokens; choose at most as many'
            )
        return sites[: -self.aware_blocks], sites[-self.aware_blocks :]

    def prepare(self, image: Tensor, first: Features) -> Tensor:
        """Selects the classes for each image; returns the image as it came."""
        if first.text is None or first.fixed_text is None:
            raise UserError(
                'CAVPT makes prompts from the embeddings of the classes, and this pass has none: '
                'expected text and fixed_text, which a model with a text branch gives; set '
                'model.text'
            )
        self._logits = []
        assert self._anatomy is not None
        self._anatomy.state.prepared[self] = self.selected_text(first)
        return image

    def selected_text(self, first: Features) -> Tensor:
        """Returns the (B, n, D) learned text of the selected classes, the nearest first."""
        assert first.joint is not None
        assert first.text is not None
        assert first.fixed_text is not None
        scores = F.normalize(first.joint[0]) @ first.fixed_text.T.to(first.joint[0].dtype)
        count = min(self.num_selected, scores.shape[1])
        self._selected = scores.topk(count, dim=1).indices
        return first.text[self._selected]

    def static_prompts(self, x: Tensor, context: Context) -> Tensor:
        """Returns the (B, P, C) prompts of a lower block."""
        assert self.ctx_learner is not None
        return self.ctx_learner.ctx[self._rows[context.site.block]].expand(len(x), -1, -1)

    def aware_prompts(self, x: Tensor, context: Context) -> Tensor:
        """Returns the (B, n, C) prompts of an upper block."""
        assert self._anatomy is not None
        row, text = self._rows[context.site.block], self._anatomy.state.prepared[self]
        tokens = context.channels_last(x).flatten(1, -2)
        prompts, found = self.extractor(tokens, text, row)
        if self.training:
            logits = self.extractor.classify(found, row)
            # those of the second pass of activation checkpointing have another graph
            if not context.recomputing:
                self._logits.append(logits)
        return prompts

    def image_losses(self, labels: Tensor) -> dict[str, Tensor]:
        """Returns the auxiliary loss of the last forward pass in training, once."""
        return self._losses(F.one_hot(labels, self.num_classes).bool())

    def label_losses(self, labels: Tensor, *, ignore_index: int) -> dict[str, Tensor]:
        """Returns the auxiliary loss of the last forward pass in training, once."""
        known = labels.masked_fill(labels == ignore_index, self.num_classes).flatten(1)
        shown = torch.zeros(len(known), self.num_classes + 1, dtype=torch.bool, device=known.device)
        return self._losses(shown.scatter_(1, known, True)[:, :-1])

    def _losses(self, shown: Tensor) -> dict[str, Tensor]:
        """Returns the loss of (B, K) classes that the images show."""
        taken, self._logits = self._logits, []
        if not taken:
            return {}
        assert self._selected is not None
        logits = torch.stack(taken, dim=1).float()  # (B, L, n, K)
        targets = self._selected[:, None].expand(logits.shape[:3])
        true = shown.gather(1, self._selected)[:, None].expand(logits.shape[:3])
        each = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), reduction='none')
        mean = (each * true.flatten()).sum() / true.sum().clamp(min=1)
        return {'loss_classes': self.loss_weight * mean}


_PLACE = 'image_encoder.transformer.'


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the visual prompts of an official model for `CAVPT`.

    Args:
        state: Tensors by official name; others than the visual prompts are left out, and so are
            static prompts for no block.

    Example:
        >>> import torch
        >>> from rein_seg.peft.methods.cavpt import from_official
        >>> list(from_official({'image_encoder.transformer.ctx_learner.ctx': torch.zeros(3, 5, 8)}))
        ['ctx_learner.ctx']
    """
    parts = (f'{_PLACE}ctx_learner.', f'{_PLACE}extractor.')
    own = {k.removeprefix(_PLACE): v for k, v in state.items() if k.startswith(parts)}
    return {name: tensor for name, tensor in own.items() if tensor.numel()}
