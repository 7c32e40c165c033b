"""Learned prompts of published methods; see `LearnedPrompt` for the tower and what is kept.

K classes, V vectors, C width of the text tower.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError, near_misses
from rein_seg.rules import Count, Positive
from rein_seg.text.learned import LearnedPrompt
from rein_seg.text.names import Names


@MODELS.register_module()
class SharedContext(LearnedPrompt):
    """Vectors that all classes share, between the start token and the name.

    With ``tasks``, each task or data set has vectors of its own; `set_task` chooses them.

    Args:
        classes: K names; the run fills in those of the data.
        unseen: Classes that training never labels; the run fills in the benchmark's.
        names: Class -> words to read in place of its name.
        num_context: Number of vectors, V.
        token_length: Tokens of a name, start and end included; the sequence has V more.
        init_std: Deviation of the vectors at the start; 0.02 is CoOp's, near that of words.
        tasks: Names of the tasks; None for vectors of one task.
        task: The task at the start; default: the first.
        options: ``tower``, ``truncate``, ``normalize`` (length 1), ``fixed_template``, ``dims``:
            see `LearnedPrompt`.

    Attributes:
        contexts: (1, V, C), or (tasks, V, C), normal, cut at -2 and 2.

    Raises:
        UserError: If a name or the sequence is too long, or a task is not known.

    Source: Rao et al., CVPR 2022 (DenseCLIP), Sec. 3.3. Differs from it: tasks are ours.

    Example:
        >>> from rein_seg.text import SharedContext
        >>> tower = dict(init_seed=0, width=16, layers=1, heads=2, dims=8, words=['road', 'sky'])
        >>> prompt = SharedContext(['road', 'sky'], num_context=4, tower=tower)
        >>> prompt().shape, list(prompt.state_dict())
        (torch.Size([2, 8]), ['contexts'])
    """

    layout = (*LearnedPrompt.layout, 'token_length')

    def __init__(
        self,
        classes: Sequence[str],
        unseen: Sequence[str] = (),
        names: Names | None = None,
        *,
        num_context: Count = 8,
        token_length: Count = 5,
        init_std: Positive = 1.0,
        tasks: Sequence[str] | None = None,
        task: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(classes, unseen, names, **options)
        self.num_context, self.token_length = num_context, token_length
        most = self.tower.context_length
        if num_context + token_length > most:
            raise UserError(
                f'text: num_context={num_context} and token_length={token_length} are '
                f'{num_context + token_length} tokens, the text tower takes {most}: lower one'
            )
        self.tasks = tuple(tasks or ('',))
        shape = (len(self.tasks), num_context, self.tower.width)
        self.contexts = nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=init_std))
        self.set_task(task if task is not None else self.tasks[0])
        self.finish()

    @property
    def identity(self) -> dict[str, Any]:
        """Facts that an adapter must share with this branch."""
        tasks = {'tasks': list(self.tasks)} if self.tasks != ('',) else {}
        return {**super().identity, **tasks}

    def set_task(self, task: str) -> None:
        """Reads the vectors of another task from now on.

        Args:
            task: Its name.

        Raises:
            UserError: If it is none of ``tasks``.
        """
        if task not in self.tasks:
            raise UserError(f'text.task={task!r} is no task; {near_misses(task, self.tasks)}')
        self.task, self._kept = task, None

    def vectors_of(self, index: Tensor) -> Tensor:
        """Returns the (V, C) vectors of the task."""
        return self.contexts[self.tasks.index(self.task)]

    def plan(self, phrases: Sequence[str]) -> list[list[int]]:
        """Returns start, vectors, the rest of each name's tokens."""
        ids = self.tokenizer.encode(phrases, self.token_length, truncate=self.truncate).tolist()
        return [[row[0], *_vectors(0, self.num_context), *row[1:]] for row in ids]


@MODELS.register_module()
class CoOp(LearnedPrompt):
    """Vectors before, around or behind the name, and a full stop.

    Args:
        classes: K names; the run fills in those of the data.
        unseen: Classes that training never labels; the run fills in the benchmark's.
        names: Class -> words to read in place of its name.
        num_context: Number of vectors, V.
        position: Place of the name: at the end, in the middle or in front of the vectors.
        per_class: Whether each class has vectors of its own.
        options: ``tower``, ``truncate``, ``normalize`` (length 1), ``fixed_template``, ``dims``:
            see `LearnedPrompt`.

    Attributes:
        ctx: (V, C), or (K, V, C), normal with deviation 0.02.

    Raises:
        UserError: If a name or the sequence is too long.

    Source: Zhou et al., IJCV 2022, Sec. 3.2.

    Example:
        >>> from rein_seg.text import CoOp
        >>> tower = dict(init_seed=0, width=16, layers=1, heads=2, dims=8, words=['road', 'sky'])
        >>> CoOp(['road', 'sky'], num_context=4, per_class=True, tower=tower).ctx.shape
        torch.Size([2, 4, 16])
    """

    layout = (*LearnedPrompt.layout, 'position')

    def __init__(
        self,
        classes: Sequence[str],
        unseen: Sequence[str] = (),
        names: Names | None = None,
        *,
        num_context: Count = 16,
        position: Literal['end', 'middle', 'front'] = 'end',
        per_class: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(classes, unseen, names, **options)
        if position not in ('end', 'middle', 'front'):
            raise UserError(f"text.position={position!r}: expected 'end', 'middle' or 'front'")
        self.num_context, self.position, self.per_class = num_context, position, per_class
        shape = (num_context, self.tower.width)
        full = (len(self.classes), *shape) if per_class else shape
        self.ctx = nn.Parameter(nn.init.normal_(torch.empty(full), std=0.02))
        self.finish()

    def vectors_of(self, index: Tensor) -> Tensor:
        """Returns the (V, C) vectors, or (M, V, C) of the class of each name."""
        return self.ctx[index] if self.per_class else self.ctx

    @property
    def open_vocabulary(self) -> bool:  # type: ignore[override]
        """Whether the vectors are of all classes."""
        return not self.per_class

    def read_words(self) -> None:
        """Lays out the sequences of names."""
        if self.per_class and len(self.classes) != len(self.ctx):
            raise UserError(
                'text.per_class=True: the vectors belong to the classes of training, so no others '
                'can be read; train with per_class=False'
            )
        super().read_words()

    def plan(self, phrases: Sequence[str]) -> list[list[int]]:
        """Returns start, vectors and name, the full stop, end."""
        tokenizer, before = self.tokenizer, {'end': self.num_context, 'front': 0}
        first = before.get(self.position, self.num_context // 2)
        front, back = _vectors(0, first), _vectors(first, self.num_context)
        rows = []
        for phrase in phrases:
            ids = tokenizer.ids(f'{phrase}.')
            count = len(tokenizer.ids(phrase))
            name, stop = ids[:count], ids[count:]
            rows.append([tokenizer.start, *front, *name, *back, *stop, tokenizer.end])
        return _padded(rows, phrases, self.tower.context_length, self.truncate)


@MODELS.register_module()
class PrefixDot(LearnedPrompt):
    """Vectors before and behind the name, and a full stop; normalised.

    The tower reads the embedding of id 0 behind the end, which has no influence.

    Args:
        classes: K names; the run fills in those of the data.
        unseen: Classes that training never labels; the run fills in the benchmark's.
        names: Class -> words to read in place of its name.
        num_prefix: Number of vectors before the name.
        num_suffix: Number of vectors behind it.
        normalize: Whether the embeddings have length 1.
        options: ``tower``, ``truncate``, ``fixed_template``, ``dims``; see `LearnedPrompt`.

    Attributes:
        prefix_prompt: (num_prefix, C), normal with deviation 0.02.
        suffix_prompt: (num_suffix, C), or None.

    Raises:
        UserError: If a name or the sequence is too long.

    Source: Xu et al., ECCV 2022 (A Simple Baseline), Sec. 3.3.

    Example:
        >>> from rein_seg.text import PrefixDot
        >>> tower = dict(init_seed=0, width=16, layers=1, heads=2, dims=8, words=['road', 'sky'])
        >>> prompt = PrefixDot(['road', 'sky'], num_prefix=4, tower=tower)
        >>> prompt().norm(dim=1).round().tolist()
        [1.0, 1.0]
    """

    def __init__(
        self,
        classes: Sequence[str],
        unseen: Sequence[str] = (),
        names: Names | None = None,
        *,
        num_prefix: int = 16,
        num_suffix: int = 0,
        normalize: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(classes, unseen, names, normalize=normalize, **options)
        if min(num_prefix, num_suffix) < 0 or num_prefix + num_suffix == 0:
            raise UserError(
                f'text: num_prefix={num_prefix}, num_suffix={num_suffix}: expected whole numbers '
                'with a sum above 0; change them'
            )
        self.prefix_prompt = self._drawn(num_prefix)
        self.suffix_prompt = self._drawn(num_suffix)
        self.finish()

    def _drawn(self, count: int) -> nn.Parameter | None:
        if not count:
            return None
        return nn.Parameter(nn.init.normal_(torch.empty(count, self.tower.width), std=0.02))

    def vectors_of(self, index: Tensor) -> Tensor:
        """Returns the vectors of prefix and suffix, (V, C)."""
        return torch.cat([x for x in (self.prefix_prompt, self.suffix_prompt) if x is not None])

    def plan(self, phrases: Sequence[str]) -> list[list[int]]:
        """Returns start, prefix, name, suffix, full stop, end."""
        tokenizer = self.tokenizer
        first = 0 if self.prefix_prompt is None else len(self.prefix_prompt)
        last = first if self.suffix_prompt is None else first + len(self.suffix_prompt)
        front, back, stop = _vectors(0, first), _vectors(first, last), tokenizer.ids('.')
        rows = [
            [tokenizer.start, *front, *tokenizer.ids(phrase), *back, *stop, tokenizer.end]
            for phrase in phrases
        ]
        return _padded(rows, phrases, self.tower.context_length, self.truncate)


def _vectors(first: int, last: int) -> list[int]:
    """Returns the places of vectors first to last - 1 in a plan."""
    return [-1 - index for index in range(first, last)]


def _padded(
    rows: list[list[int]], phrases: Sequence[str], most: int, truncate: bool
) -> list[list[int]]:
    """Returns sequences of one length, with zeros behind their ends."""
    padded = []
    for row, phrase in zip(rows, phrases, strict=True):
        if len(row) > most:
            if not truncate:
                raise UserError(
                    f'class {phrase!r} has {len(row)} tokens with its prompt, expected at most '
                    f'{most}: shorten the name or the prompt, or set truncate=True to cut it'
                )
            row = [*row[: most - 1], row[-1]]
        padded.append(row + [0] * (most - len(row)))
    return padded
