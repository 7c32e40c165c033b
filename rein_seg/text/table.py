"""A fixed table: an embedding for each class."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.checkpoint import tensors_sha256
from rein_seg.encoders.shapes_only import is_shapes_only
from rein_seg.errors import UserError
from rein_seg.text.contract import TextBranch
from rein_seg.text.files import NoTextTower
from rein_seg.text.names import Names
from rein_seg.text.npy import is_npy, read_npy
from rein_seg.text.rows import Rows, class_rows, kept_rows, read_rows, save_rows
from rein_seg.text.source import build_source
from rein_seg.text.templates import templates_of


@MODELS.register_module()
class ClassTable(TextBranch):
    """Embeddings that do not change: normalised rows, from a text tower, a file, or a seed.

    Each sentence (template x synonym) is normalised, their mean is normalised again. The text tower
    is not kept. No tensor is in the state dict.

    Args:
        classes: K names; the run fills in those of the data.
        unseen: Classes that training never labels; the run fills in the benchmark's.
        names: Class -> words to read in place of its name.
        templates: A set of sentences by name, or a list; see `templates_of`.
        tower: ``checkpoint`` of the text tower, with ``act`` and ``heads`` where they are not
            OpenAI's, see `build_source`; by default the file of the encoder, which holds both.
        file: A table that ``rein-seg class-table`` wrote, in place of a tower; or a ``.npy`` of K
            rows in the order of ``classes``, as ZegCLIP publishes, which reads no other classes.
        truncate: Cuts sentences that are too long for the tower.
        dims: D of the encoder, which the model fills in; the embeddings must have it.
        init_seed: Seed of random rows, in place of a tower, for tests.

    Raises:
        UserError: If a name is bad or does not fit, not one source is given, or the file is
            damaged, of other classes or words, of another width, or of another tower.

    Source: Radford et al., ICML 2021, Sec. 3.1.4 (mean over templates).

    Example:
        >>> from rein_seg.text import ClassTable
        >>> tower = dict(init_seed=0, width=16, layers=1, heads=2, dims=8,
        ...     words=['a', 'photo', 'of', 'road', 'sky'])
        >>> table = ClassTable(['road', 'sky'], tower=tower)
        >>> table().shape, table.templates
        (torch.Size([2, 8]), ('a photo of a {}',))
    """

    filled_in = ('dims', 'tower', 'init_seed')
    table: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        unseen: Sequence[str] = (),
        names: Names | None = None,
        *,
        templates: str | Sequence[str] = 'plain',
        tower: Mapping[str, Any] | None = None,
        file: str | None = None,
        truncate: bool = False,
        dims: int | None = None,
        init_seed: int | None = None,
    ) -> None:
        super().__init__(classes, unseen, names)
        self.templates, self.truncate = templates_of(templates), truncate
        self._expected, self._tower, self.init_seed = dims, tower, init_seed
        if init_seed is not None and (tower or file):
            raise UserError(
                f'text.init_seed={init_seed}: random rows, for tests, stand in place of tower and '
                'file; leave them out'
            )
        self._take(self._read(file, names or {}) if file else self._made())
        # of a file alone: rows that are computed differ between machines in their last bits
        self._digest = tensors_sha256({'rows': self.table}) if file else None

    def forward(self) -> Tensor:
        """Returns the (K, D) rows."""
        return self.table

    def fixed(self) -> Tensor:
        """Returns the (K, D) rows: all its words are fixed."""
        return self.table

    @property
    def identity(self) -> dict[str, Any]:
        """Facts that an adapter must share with this branch."""
        templates = {} if self._tower is None else {'templates': list(self.templates)}
        rows = {} if self._digest is None else {'rows': f'sha256:{self._digest}'}
        return {**super().identity, **templates, **rows}

    @property
    def open_vocabulary(self) -> bool:  # type: ignore[override]
        """Whether there is a tower, or a seed, for other classes."""
        return self._tower is not None or self.init_seed is not None

    def save(self, path: str | os.PathLike) -> None:
        """Writes the table as a file that ``file=`` reads.

        Args:
            path: Ends in ``.safetensors``.
        """
        save_rows(path, self._origin(self.source, self.table.cpu()))

    def read_words(self) -> None:
        """Computes the rows of other classes."""
        if not self.open_vocabulary:
            raise UserError(
                f'text.file is a table of {len(self.table)} classes and reads no others: use '
                'text.tower, or write a table of these classes with rein-seg class-table'
            )
        device = self.table.device
        self._take(self._made())
        self.to(device)

    def _take(self, rows: Rows) -> None:
        dims = rows.rows.shape[1]
        if self._expected not in (None, dims):
            raise UserError(
                f'the embeddings of the classes have width {dims}, the joint space of the encoder '
                f"has {self._expected}: expected text.file or text.tower of the encoder's CLIP"
            )
        self.dims, self.source = dims, rows.source
        self.register_buffer('table', rows.rows.clone(), persistent=False)

    def _origin(self, source: str, rows: Tensor) -> Rows:
        return Rows(rows, self.classes, self.words, self.templates, source)

    def _made(self) -> Rows:
        if self.init_seed is not None:
            return self._random()
        source = build_source(self._tower, self._expected)
        self.scale = source.tower.scale
        wanted = self._origin(source.name, torch.zeros(len(self.classes), source.tower.dims))
        if is_shapes_only():
            return wanted
        random = (self._tower or {}).get('checkpoint') is None
        make = class_rows if random else kept_rows
        return replace(wanted, rows=make(source, wanted, self.truncate))

    def _random(self) -> Rows:
        generator = torch.Generator().manual_seed(self.init_seed)
        shape = len(self.classes), self._expected or 512
        rows = F.normalize(torch.randn(shape, generator=generator, device='cpu'))
        return self._origin(f'random:seed={self.init_seed}', rows)

    def _read(self, file: str, names: Names) -> Rows:
        if is_npy(file):  # nothing in it says which tower would give rows of other classes
            self._tower, self.templates = None, ()
            return read_npy(file, self.classes)
        found = read_rows(file)
        if found.classes != self.classes:
            raise UserError(
                f'text.file={file!r} is a table of other classes ({_few(found.classes)}), expected '
                f'{_few(self.classes)}: write one with rein-seg class-table'
            )
        source = self._source_of_tower()
        if source not in (None, found.source):
            raise UserError(
                f'text.file={file!r} was made by another text tower ({found.source[:19]}..., '
                f'expected {source[:19]}...): write it again with rein-seg class-table'
            )
        for name, theirs, ours in zip(found.classes, found.words, self.words, strict=True):
            if name in names and theirs != ours:
                raise UserError(
                    f'text.file={file!r} has the words {list(theirs)} for {name!r}, text.names '
                    f'gives {list(ours)}: expected the same; write the table again with rein-seg '
                    'class-table'
                )
        self.words, self.templates = found.words, found.templates
        return found

    def _source_of_tower(self) -> str | None:
        """Returns the source that a file must name, if there is a tower to compare with."""
        if self._tower is None or is_shapes_only():
            return None
        try:
            return build_source(self._tower).name
        except NoTextTower:  # the encoder's file holds the image tower alone
            self._tower = None
            return None


def _few(names: Sequence[str]) -> str:
    return ', '.join(names[:3]) + (f', ... {len(names)} in all' if len(names) > 3 else '')
