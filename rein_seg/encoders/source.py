"""The source of an encoder's weights: a file, its published weights, or a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from rein_seg.checkpoint import load_strict, read_weights, tensors_sha256
from rein_seg.checkpoint.strict import fitting
from rein_seg.encoders.anatomy import find_anatomy
from rein_seg.encoders.convert import convert_weights
from rein_seg.encoders.info import Published
from rein_seg.encoders.locate import locate
from rein_seg.encoders.random_init import draw_filters, draw_weights
from rein_seg.errors import UserError

SOURCE_KEYS = ('checkpoint', 'checkpoint_url', 'init_seed', 'init_filters', 'pretrained')


@dataclass(frozen=True)
class WeightSource:
    """Exactly one source: a file, a seed, or, with neither, the weights of the class.

    Attributes:
        name: Name of the encoder, for messages.
        checkpoint: Path of a file on this machine, or None.
        seed: Seed of random weights, or None.
        filters: Random weights answer to textures too; see `draw_filters`.
    """

    name: str
    checkpoint: str | None = None
    seed: int | None = None
    filters: bool = False

    @classmethod
    def take(cls, args: dict[str, Any], name: str) -> WeightSource:
        """Takes `SOURCE_KEYS` out of an encoder's config; see `locate` for the file.

        Raises:
            UserError: If not exactly one source is given, or the file is missing.

        Example:
            >>> from rein_seg.encoders.source import WeightSource
            >>> args = dict(type='TinyViT', init_seed=3)
            >>> WeightSource.take(args, 'tiny')
            WeightSource(name='tiny', checkpoint=None, seed=3, filters=False)
            >>> args
            {'type': 'TinyViT'}
        """
        checkpoint, url, seed, filters, pretrained = (args.pop(key, None) for key in SOURCE_KEYS)
        # a file of the user comes before the published weights
        pretrained = (pretrained or False) if checkpoint is None else False
        _check(name, checkpoint=checkpoint, pretrained=pretrained, seed=seed)
        if filters and seed is None:
            raise UserError(
                f'encoder {name!r}: init_filters=True has an effect with init_seed=N only'
            )
        if checkpoint is not None:
            checkpoint = locate(str(checkpoint), url, what=f'encoder {name!r}')
        return cls(name, checkpoint, None if seed is None else int(seed), bool(filters))

    @classmethod
    def file_of(cls, cfg: Mapping[str, Any]) -> str | None:
        """Returns the path of the weights file that an encoder's config names, if it names one.

        Example:
            >>> from rein_seg.encoders import WeightSource
            >>> WeightSource.file_of(dict(type='TinyViT', init_seed=3))
        """
        if cfg.get('checkpoint') is None:
            return None
        name = cfg.get('name') or cfg.get('type')
        url = cfg.get('checkpoint_url')
        return locate(str(cfg['checkpoint']), url, what=f'encoder {name!r}')

    def fill(self, encoder: nn.Module) -> str:
        """Loads, or draws, the weights of ``encoder``; returns their fingerprint.

        Raises:
            UserError: If the file cannot be had, or does not cover every tensor.
        """
        if self.seed is None:
            state = self.read(encoder)
            source, what = self.checkpoint or 'the hub', f'encoder {self.name!r}'
            with fitting(f'{what} from {source!r}'):
                converted = convert_weights(encoder, state)
            report = load_strict(encoder, converted.tensors, what=what, source=source, file=state)
            print_log(f'{report} ({converted}{_precision(state)})', logger='current')
            # of the file as downloaded: it does not depend on the encoder's image size
            return f'sha256:{tensors_sha256(state)}'
        draw_weights(encoder, self.seed)
        if self.filters:
            draw_filters(find_anatomy(encoder), self.seed)
        print_log(f'encoder {self.name!r} has random weights (seed {self.seed})', logger='current')
        return f'random:seed={self.seed}' + (',filters' if self.filters else '')

    def read(self, encoder: nn.Module) -> dict[str, Tensor]:
        """Returns the tensors of the file, or the published weights, as downloaded.

        Raises:
            UserError: If the file cannot be read, or the class has no published weights.
        """
        if self.checkpoint is not None:
            return read_weights(self.checkpoint)
        return read_weights(self.fetch_pretrained(encoder))

    def fetch_pretrained(self, encoder: nn.Module) -> str:
        """Returns the path of the published weights of ``encoder``; downloads them on first use.

        Raises:
            UserError: If its class has none, or they cannot be had.
        """
        if not isinstance(encoder, Published):
            raise UserError(
                f'encoder {self.name!r}: {type(encoder).__name__} has no weights by hub id for '
                'pretrained=True; give checkpoint=FILE (docs/reference/weights.md)'
            )
        return encoder.fetch_pretrained()


def _precision(state: Mapping[str, Tensor]) -> str:
    """Returns words on a file of half precision."""
    halves = {tensor.dtype for tensor in state.values()} & {torch.float16, torch.bfloat16}
    names = ', '.join(sorted(str(dtype).removeprefix('torch.') for dtype in halves))
    return f'; stored as {names}, computed in float32' if halves else ''


def _check(name: str, *, checkpoint: Any, pretrained: Any, seed: Any) -> None:
    given = [checkpoint is not None, pretrained is True, seed is not None]
    if given.count(True) != 1 or pretrained not in (True, False):
        raise UserError(
            f'encoder {name!r}: give exactly one of checkpoint=FILE (its pretrained weights), '
            'pretrained=True (weights by hub id, where the class has one) and init_seed=N (random '
            f'weights, for tests); came checkpoint={checkpoint!r}, pretrained={pretrained!r}, '
            f'init_seed={seed!r}'
        )
