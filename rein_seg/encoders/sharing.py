"""One encoder in memory for several models, as a service of many adapters needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from rein_seg.checkpoint import read_weights, tensors_sha256
from rein_seg.encoders.info import EncoderInfo
from rein_seg.encoders.source import SOURCE_KEYS, WeightSource
from rein_seg.errors import UserError


@dataclass(frozen=True)
class SharedEncoder:
    """A built encoder for other models to use.

    Attributes:
        encoder: The encoder.
        info: Its description.
        cfg: Its config.
    """

    encoder: nn.Module
    info: EncoderInfo
    cfg: Mapping[str, Any]

    def info_for(self, cfg: Mapping[str, Any], info: EncoderInfo) -> EncoderInfo:
        """Returns the description of the shared encoder under the name of another config.

        Args:
            cfg: A config, which must describe the same encoder.
            info: The description of an encoder built from it without weights.

        Raises:
            UserError: If it describes another encoder.
        """
        shared, other = dict(self.info.config), dict(info.config)
        shared['weights'], other['weights'] = self.info.weights, self._weights_of(cfg, info.name)
        shared['bands'], other['bands'] = self.info.bands, info.bands
        differ = [key for key in sorted(shared | other) if shared.get(key) != other.get(key)]
        if differ:
            listed = (f'{key}={other.get(key)!r}, not {shared.get(key)!r}' for key in differ[:3])
            raise UserError(
                f'encoder {info.name!r} is not the shared one, {self.info.name!r}: it has '
                f'{", ".join(listed)}; adapters of another encoder need a service of their own'
            )
        return replace(info, weights=self.info.weights)

    def _weights_of(self, cfg: Mapping[str, Any], name: str) -> str:
        if all(cfg.get(key) == self.cfg.get(key) for key in SOURCE_KEYS):
            return self.info.weights  # no file is read for the usual case
        source = WeightSource.take(dict(cfg), name)
        if source.checkpoint is None:
            given = {key: cfg[key] for key in SOURCE_KEYS if cfg.get(key) is not None}
            return ', '.join(f'{key}={value!r}' for key, value in given.items())
        return f'sha256:{tensors_sha256(read_weights(source.checkpoint))}'


_SHARED: ContextVar[SharedEncoder | None] = ContextVar('shared_encoder', default=None)


@contextlib.contextmanager
def sharing(shared: SharedEncoder | None) -> Iterator[None]:
    """Makes `build_encoder` return this encoder inside, for configs that describe the same.

    Example:
        >>> from rein_seg.encoders import SharedEncoder, build_encoder, sharing
        >>> cfg = dict(type='TinyViT', init_seed=0, img_size=64)
        >>> first, info = build_encoder(cfg)
        >>> with sharing(SharedEncoder(first, info, cfg)):
        ...     again, _ = build_encoder({**cfg, 'patch_size': 8})
        >>> again is first
        True
    """
    token = _SHARED.set(shared)
    try:
        yield
    finally:
        _SHARED.reset(token)


def shared_encoder() -> SharedEncoder | None:
    """Returns the encoder that `sharing` has set."""
    return _SHARED.get()
