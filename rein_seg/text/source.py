"""The text tower that a config names, with its tokenizer and its fingerprint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rein_seg.checkpoint import read_weights, tensors_sha256
from rein_seg.encoders.locate import locate
from rein_seg.encoders.shapes_only import is_shapes_only
from rein_seg.errors import UserError, near_misses
from rein_seg.registry import build_with_hints
from rein_seg.text.files import read_tower, usual_heads
from rein_seg.text.tokens import CLIPTokenizer, Tokenizer, WordTokenizer
from rein_seg.text.tower import TextTower

_KEY = 'model.text.tower.checkpoint'
_OF_FILES = ('checkpoint', 'checkpoint_url', 'act', 'heads')
# width by D, where no file tells it; OpenAI's RN50 has 512 for 1024
_WIDTHS = {1024: 512, 640: 640, 768: 768}


@dataclass(frozen=True)
class TextSource:
    """A frozen text tower.

    Attributes:
        tower: The tower, in eval mode.
        tokenizer: Its tokenizer.
        sha256: Fingerprint of its values, activation and, unless they have 64 channels each, number
            of heads; the same for all layouts of files.
    """

    tower: TextTower
    tokenizer: Tokenizer
    sha256: str

    @property
    def name(self) -> str:
        """Fingerprint with its kind, as `TextBranch.source`."""
        return f'sha256:{self.sha256}'


def build_source(cfg: Mapping[str, Any] | None, dims: int | None = None) -> TextSource:
    """Builds the text tower of a config.

    Args:
        cfg: ``checkpoint`` (path, address or hub id, as of encoders; ``checkpoint_url`` beside it),
            with ``act`` and ``heads`` where they are not OpenAI's; or ``init_seed``, random values
            for tests, with arguments of `TextTower` and ``words`` for a `WordTokenizer`.
        dims: D of the space of images, if it is known.

    Raises:
        UserError: If neither or both are given, the file cannot be had or read, or D differs.

    Example:
        >>> from rein_seg.text.source import build_source
        >>> words = ['a', 'photo', 'of', 'road', 'sky']
        >>> cfg = dict(init_seed=0, width=16, layers=1, heads=2, words=words)
        >>> build_source(cfg, dims=8).tower.dims
        8
    """
    args = dict(cfg or {})
    given = [key for key in ('checkpoint', 'init_seed') if args.get(key) is not None]
    if len(given) != 1:
        raise UserError(
            f'text.tower={dict(cfg or {})!r}: expected checkpoint=FILE or init_seed=N (random '
            'values, for tests); give one of them'
        )
    if given == ['init_seed']:
        return _drawn(args, dims)
    unknown = next((key for key in args if key not in _OF_FILES), None)
    if unknown is not None:
        raise UserError(
            f'text.tower takes no {unknown!r} beside checkpoint: sizes are read from the file; '
            f'{near_misses(unknown, _OF_FILES)}'
        )
    path = locate(args.pop('checkpoint'), args.pop('checkpoint_url', None), what='text', key=_KEY)
    if is_shapes_only() and not os.path.isfile(path):
        return _without_values(dims or 512)
    tower, tokenizer = read_tower(read_weights(path), source=path, **args)
    if dims is not None and tower.dims != dims:
        raise UserError(
            f'text tower from {path!r} has embeddings of width {tower.dims}, the joint space of '
            f'the encoder {dims}: expected the towers of one CLIP; set {_KEY} to the file of the '
            "encoder's"
        )
    return _source(tower, tokenizer)


def _drawn(args: dict[str, Any], dims: int | None) -> TextSource:
    seed, words = args.pop('init_seed'), args.pop('words', None)
    tokenizer = CLIPTokenizer() if words is None else WordTokenizer(words)
    sizes = {'vocabulary': tokenizer.vocabulary, **({} if dims is None else {'dims': dims}), **args}
    tower = build_with_hints(TextTower, sizes, what='text.tower')
    assert isinstance(tower, TextTower)
    if tower.vocabulary != tokenizer.vocabulary or dims not in (None, tower.dims):
        raise UserError(
            f'text.tower has vocabulary={tower.vocabulary} and dims={tower.dims}, expected '
            f'{tokenizer.vocabulary} of its tokenizer and {dims} of the encoder; leave them out'
        )
    if not is_shapes_only():
        draw_tower(tower, seed)
    return _source(tower, tokenizer)


def _without_values(dims: int) -> TextSource:
    """Returns a tower of the usual sizes, to count parameters."""
    width = _WIDTHS.get(dims, 512)
    return _source(TextTower(width, heads=width // 64, dims=dims), CLIPTokenizer())


def _source(tower: TextTower, tokenizer: Tokenizer) -> TextSource:
    digest = 'none: shapes only'
    if not is_shapes_only():
        # options that change the embeddings, and no tensor
        options = {'act': torch.tensor(list(tower.act.encode()), dtype=torch.uint8)}
        if tower.heads != usual_heads(tower.width):
            options['heads'] = torch.tensor(tower.heads)
        digest = tensors_sha256({**tower.state_dict(), **options})
    return TextSource(tower.eval().requires_grad_(False), tokenizer, digest)


def draw_tower(tower: TextTower, seed: int) -> None:
    """Draws random values from a seed alone, in CLIP's sizes.

    Args:
        tower: The tower, whose values are replaced.
        seed: The seed.

    Example:
        >>> from rein_seg.text import TextTower
        >>> from rein_seg.text.source import draw_tower
        >>> tower = TextTower(width=16, layers=1, heads=2, dims=8, vocabulary=9)
        >>> draw_tower(tower, seed=0)
        >>> bool(tower.text_projection.std() > 0)
        True
    """
    generator = torch.Generator().manual_seed(seed)
    stds = {'token_embedding.weight': 0.02, 'positional_embedding': 0.01}
    with torch.no_grad():
        for name, param in tower.named_parameters():
            if param.dim() > 1:
                std = stds.get(name, tower.width**-0.5)
                param.copy_(torch.randn(param.shape, generator=generator) * std)
            else:
                param.fill_(float('ln_' in name and name.endswith('weight')))


def embed_texts(source: TextSource, texts: list[str], *, truncate: bool = False) -> Tensor:
    """Returns the (N, D) embeddings of texts, not normalised, on the CPU.

    Args:
        source: The tower.
        texts: N texts.
        truncate: As `Tokenizer.encode`.

    Raises:
        UserError: If a text does not fit.
    """
    tower = source.tower
    ids = source.tokenizer.encode(texts, tower.context_length, truncate=truncate)
    ids = ids[:, : int(ids.argmax(1).max()) + 1]  # what stands behind the end has no influence
    device = tower.positional_embedding.device
    with torch.no_grad():
        parts = ids.to(device).split(256)
        return torch.cat([tower.encode_tokens(part) for part in parts]).cpu()
