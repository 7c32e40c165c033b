"""Prompts that learn: vectors among the tokens of a class's name, and the tower that reads them.

K classes, M names (synonyms counted), T tokens, V vectors, C width of the tower, D of its output.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.encoders.shapes_only import is_shapes_only
from rein_seg.text.contract import TextBranch
from rein_seg.text.names import Names
from rein_seg.text.prompt_file import digest_of, is_digest, read_prompts
from rein_seg.text.rows import Rows, class_rows, kept_rows
from rein_seg.text.source import TextSource, build_source
from rein_seg.text.templates import check_template


class LearnedPrompt(TextBranch):
    """Learned vectors and the frozen text tower that reads them together with the names.

    Gradients pass through the tower, whose tensors are in no state dict, checkpoint or adapter.
    In eval mode without gradients the embeddings are computed once, and again when a value or the
    classes change.

    A subclass writes `plan`; vector j stands in a plan as -1 - j.

    Args:
        classes: As `TextBranch`.
        unseen: As `TextBranch`.
        names: As `TextBranch`. The embedding of a class with synonyms has the mean direction of
            their embeddings, and their mean length.
        tower: As `build_source`; by default the file of the encoder, which holds both towers.
        truncate: Cuts names that are too long.
        normalize: Whether the embeddings have length 1.
        fixed_template: Sentence with {} in place of the name, such as ``a photo of a {}.``, for
            parts that read the classes in fixed words, too; see `fixed`.
        prompts: Adapter file of a model that has learned such vectors: they are taken from there
            and stay fixed. Config files of adapters have ``sha256:...`` in its place, since the
            adapter holds the vectors.
        dims: D of the encoder, which the model fills in.

    Attributes:
        prompts_digest: Fingerprint of vectors that stay fixed, ``sha256:...``; else None.
        layout: Names of the options that change the embeddings and no shape of a tensor.
        tower: The frozen tower.
        tokenizer: Its tokenizer.

    Raises:
        UserError: If a name is bad or does not fit, the tower cannot be had, or ``prompts`` is
            missing or of another CLIP or length.
    """

    prompts_digest: str | None
    filled_in = ('dims', 'tower')
    layout: ClassVar[tuple[str, ...]] = ('normalize',)
    fixed_rows: Tensor | None
    sequences: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        unseen: Sequence[str] = (),
        names: Names | None = None,
        *,
        tower: Mapping[str, Any] | None = None,
        truncate: bool = False,
        normalize: bool = False,
        fixed_template: str | None = None,
        prompts: str | None = None,
        dims: int | None = None,
    ) -> None:
        super().__init__(classes, unseen, names)
        check_template(fixed_template)
        self.fixed_template = fixed_template
        self._prompts, self.prompts_digest = prompts, None
        self._make = kept_rows if (tower or {}).get('checkpoint') else class_rows
        source = build_source(tower, dims)
        self.tower, self.tokenizer = source.tower, source.tokenizer
        self.dims, self.source = source.tower.dims, source.name
        self.scale = source.tower.scale
        self.truncate, self.normalize = truncate, normalize
        self._kept: tuple[list[Tensor], Tensor] | None = None
        self.register_state_dict_post_hook(_drop_tower)
        self.register_load_state_dict_pre_hook(_fill_tower)

    @property
    def identity(self) -> dict[str, Any]:
        """Facts that an adapter must share with this branch."""
        own = {name: getattr(self, name) for name in self.layout}
        if self.fixed_template is not None:
            own['fixed_template'] = self.fixed_template
        if self.prompts_digest is not None:
            own['prompts'] = self.prompts_digest
        return {**super().identity, **own}

    @abstractmethod
    def plan(self, phrases: Sequence[str]) -> list[list[int]]:
        """Returns the sequence of each name: ids, and -1 - j for vector j.

        Args:
            phrases: M names, as towers read them.
        """

    @abstractmethod
    def vectors_of(self, index: Tensor) -> Tensor:
        """Returns the learned vectors, (V, C), or (M, V, C) where each class has its own.

        Args:
            index: (M,) class of each name.
        """

    def finish(self) -> None:
        """Takes learned vectors from a file, if there is any; a constructor's last call.

        Raises:
            UserError: See `read_prompts`, and if a name is too long.
        """
        if self._prompts is not None:
            self._fix(self._prompts)
        self.read_words()

    def _fix(self, prompts: str) -> None:
        own = {name: param for name, param in self.named_parameters() if 'tower.' not in name}
        if not is_digest(prompts) and not is_shapes_only():
            found = read_prompts(prompts, self.identity, own)
            with torch.no_grad():
                for name, param in own.items():
                    param.copy_(found[name])
            prompts = digest_of(found)
        for param in own.values():
            param.requires_grad_(False)
        self.prompts_digest = prompts

    def read_words(self) -> None:
        """Lays out the sequences of names."""
        texts = self.tokenizer.read_all(self.classes, self.words)
        rows = self.plan([text for one in texts for text in one])
        index = [k for k, words in enumerate(self.words) for _ in words]
        fixed = self._fixed_rows()
        self._kept = None
        length = max(max(map(_end, rows)) + 1, 1)  # what stands behind the end has no influence
        device = self.tower.positional_embedding.device
        plan = torch.tensor([row[:length] for row in rows], device=device)
        self.register_buffer('sequences', plan, persistent=False)
        self.register_buffer('class_of', torch.tensor(index, device=device), persistent=False)
        fixed = None if fixed is None else fixed.to(device)
        self.register_buffer('fixed_rows', fixed, persistent=False)

    def _fixed_rows(self) -> Tensor | None:
        if self.fixed_template is None:
            return None
        device = self.tower.positional_embedding.device
        rows = torch.zeros(len(self.classes), self.dims, device=device)
        if is_shapes_only():
            return rows
        source = TextSource(self.tower, self.tokenizer, self.source.removeprefix('sha256:'))
        origin = (self.classes, self.words, (self.fixed_template,), self.source)
        return self._make(source, Rows(rows, *origin), self.truncate)

    def fixed(self) -> Tensor | None:
        """Returns the (K, D) embeddings in the words of ``fixed_template``, or None without it."""
        return self.fixed_rows

    def train(self, mode: bool = True) -> LearnedPrompt:
        """Sets the mode; the tower stays in eval mode."""
        super().train(mode)
        self.tower.eval()
        self._kept = None
        return self

    def forward(self) -> Tensor:
        """Returns the (K, D) embeddings."""
        if self.training or torch.is_grad_enabled():
            return self.compute()
        now = [self.tower.text_projection, *self._own()]
        if self._kept is None or not _same(self._kept[0], now):
            # in float32 also under autocast, since the result is kept
            with torch.autocast(now[0].device.type, enabled=False):
                self._kept = [x.detach().clone() for x in now], self.compute()
        return self._kept[1]

    def compute(self) -> Tensor:
        """Returns the (K, D) embeddings, computed anew."""
        text = self.tower.encode_embeddings(self.embeddings(), self.sequences.argmax(1))
        if len(self.class_of) > len(self.classes):
            text = _mean_of_names(text, self.class_of, len(self.classes))
        return F.normalize(text, dim=1) if self.normalize else text

    def embeddings(self) -> Tensor:
        """Returns the (M, T, C) sequences: embeddings of tokens, with vectors in their places."""
        plan = self.sequences
        tokens = self.tower.token_embedding(plan.clamp(min=0))
        vectors = self.vectors_of(self.class_of)
        places = (-1 - plan).clamp(min=0)
        if vectors.dim() == 2:
            learned = vectors[places]
        else:
            learned = vectors[torch.arange(len(plan), device=plan.device)[:, None], places]
        return torch.where((plan < 0)[..., None], learned, tokens)

    def _own(self) -> Iterator[Tensor]:
        frozen = {id(param) for param in self.tower.parameters()}
        return (param for param in self.parameters() if id(param) not in frozen)


def _end(row: Sequence[int]) -> int:
    return row.index(max(row))


def _same(kept: Sequence[Tensor], now: Sequence[Tensor]) -> bool:
    # values, not versions: weight averaging exchanges them behind autograd's back
    return all(a.device == b.device and torch.equal(a, b) for a, b in zip(kept, now, strict=True))


def _mean_of_names(text: Tensor, class_of: Tensor, num_classes: int) -> Tensor:
    """Returns (K, D) from the (M, D) embeddings of synonyms: mean direction, mean length."""
    counts = torch.bincount(class_of, minlength=num_classes)[:, None].to(text.dtype)
    lengths = text.norm(dim=1, keepdim=True)
    zeros = text.new_zeros
    direction = zeros(num_classes, text.shape[1]).index_add(0, class_of, text / lengths)
    length = zeros(num_classes, 1).index_add(0, class_of, lengths) / counts
    return F.normalize(direction, dim=1) * length


def _drop_tower(
    module: LearnedPrompt, state: dict[str, Tensor], prefix: str, metadata: dict
) -> None:
    for name in module.tower.state_dict():
        state.pop(f'{prefix}tower.{name}', None)


def _fill_tower(module: LearnedPrompt, state: dict[str, Tensor], prefix: str, *args: Any) -> None:
    for name, tensor in module.tower.state_dict().items():
        state.setdefault(f'{prefix}tower.{name}', tensor)
