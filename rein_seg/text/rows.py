"""Rows of a class-embedding table: sentences, averaged; kept in a file.

K classes, D width of the space that image and text share.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from rein_seg.checkpoint import save_tensors, tensors_sha256
from rein_seg.checkpoint.safetensors_file import parse_json, read_safetensors
from rein_seg.checkpoint.tensors import not_finite
from rein_seg.download import cache_folder
from rein_seg.errors import UserError
from rein_seg.text.source import TextSource, embed_texts
from rein_seg.text.templates import fill_in

FORMAT = 'rein_seg-class-table/1'


@dataclass(frozen=True)
class Rows:
    """Embeddings of classes, and their origin.

    Attributes:
        rows: (K, D) float32, normalised.
        classes: K names.
        words: Of each class the words that stand for it.
        templates: Sentences with {} in place of a word.
        source: Fingerprint of the text tower, as `TextBranch.source`.
    """

    rows: Tensor
    classes: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    templates: tuple[str, ...]
    source: str

    @property
    def origin(self) -> dict[str, Any]:
        """All that the rows are made from."""
        names = ('classes', 'words', 'templates', 'source')
        return {name: getattr(self, name) for name in names}


def class_rows(source: TextSource, wanted: Rows, truncate: bool) -> Tensor:
    """Returns the (K, D) rows of an origin; see `mean_rows`.

    Args:
        source: The text tower.
        wanted: The origin; its rows are not read.
        truncate: As `Tokenizer.encode`.

    Raises:
        UserError: If a sentence does not fit, or two classes have the same words.
    """
    read = source.tokenizer.read_all(wanted.classes, wanted.words)
    return mean_rows(source, [fill_in(wanted.templates, words) for words in read], truncate)


def mean_rows(source: TextSource, texts: Sequence[Sequence[str]], truncate: bool) -> Tensor:
    """Returns (K, D): the sentences of a class normalised, their mean, normalised again.

    Args:
        source: The text tower.
        texts: K lists of sentences.
        truncate: As `Tokenizer.encode`.

    Raises:
        UserError: If a sentence does not fit.

    Example:
        >>> from rein_seg.text.rows import mean_rows
        >>> from rein_seg.text.source import build_source
        >>> cfg = dict(init_seed=0, width=16, layers=1, heads=2, words=['a', 'road', 'sky'])
        >>> rows = mean_rows(build_source(cfg, dims=8), [['a road', 'road'], ['sky']], False)
        >>> rows.shape
        torch.Size([2, 8])
    """
    flat = F.normalize(embed_texts(source, [t for one in texts for t in one], truncate=truncate))
    parts = flat.split([len(one) for one in texts])
    return F.normalize(torch.stack([part.mean(0) for part in parts]))


def kept_rows(source: TextSource, wanted: Rows, truncate: bool) -> Tensor:
    """Returns (K, D) rows; computes them once on a machine, and keeps them in its cache.

    Args:
        source: The text tower.
        wanted: The origin; its rows are not read.
        truncate: As `Tokenizer.encode`.

    Raises:
        UserError: If a sentence does not fit.
    """
    known = getattr(source.tokenizer, 'words', None)  # a list gives the ids, and is no tensor
    key = hashlib.sha256(json.dumps([wanted.origin, truncate, known]).encode()).hexdigest()
    path = cache_folder() / 'class_tables' / f'{key}.safetensors'
    try:
        found = read_rows(path) if path.exists() else None
        if found and found.origin == wanted.origin and found.rows.shape[1] == source.tower.dims:
            return found.rows
    except (OSError, UserError) as error:
        print_log(f'{error}: computed again', logger='current')
    count = len(wanted.templates) * sum(map(len, wanted.words))
    print_log(f'the text tower reads {count} sentences, once on this machine', logger='current')
    made = class_rows(source, wanted, truncate)
    try:
        save_rows(path, replace(wanted, rows=made))
    except OSError as error:  # a full or closed disk: the next run computes them again
        print_log(f'class embeddings are not kept: {error}', logger='current')
    return made


def save_rows(path: str | os.PathLike, rows: Rows) -> None:
    """Writes rows and their origin, atomically; `read_rows` reads them.

    Args:
        path: Ends in ``.safetensors``.
        rows: The rows.

    Raises:
        UserError: If the name ends in something else.
    """
    if Path(path).suffix != '.safetensors':
        raise UserError(
            f'table of class embeddings {str(path)!r}: expected a name in .safetensors; rename it'
        )
    tensors = {'rows': rows.rows}
    metadata = {'format': FORMAT, 'sha256': tensors_sha256(tensors), **rows.origin}
    save_tensors(path, tensors, metadata)


def read_rows(path: str | os.PathLike) -> Rows:
    """Reads a table of class embeddings.

    Args:
        path: From `save_rows`.

    Raises:
        UserError: If it is damaged, changed, or no such table.

    Example:
        >>> import torch
        >>> from rein_seg.text.rows import Rows, read_rows, save_rows
        >>> names = ('road', 'sky')
        >>> rows = Rows(torch.eye(2), names, (('road',), ('sky',)), ('a {}.',), 'random:seed=0')
        >>> save_rows('two.safetensors', rows)
        >>> read_rows('two.safetensors').classes
        ('road', 'sky')
    """
    what = 'table of class embeddings'
    tensors, metadata = read_safetensors(path, what)
    place = f'{what} {str(path)!r}'
    try:
        facts = {name: parse_json(text) for name, text in metadata.items()}
        classes, words = tuple(facts['classes']), tuple(map(tuple, facts['words']))
        rows = tensors['rows']
        fits = facts['format'] == FORMAT and rows.shape[:1] == (len(classes),) == (len(words),)
        fits = fits and rows.dim() == 2 and rows.is_floating_point()
        digest, templates, source = facts['sha256'], tuple(facts['templates']), facts['source']
    except (KeyError, TypeError, ValueError):
        fits, digest = False, ''
    if not fits:
        raise UserError(
            f'{place} is another file: expected rows with classes, words and templates, as '
            'rein-seg class-table writes them; give such a file'
        )
    if digest != tensors_sha256(tensors) or not_finite(tensors):
        raise UserError(
            f'{place} was changed after it was written: its SHA-256 differs from its metadata; '
            'write it again with rein-seg class-table'
        )
    return Rows(rows.float(), classes, words, templates, str(source))
