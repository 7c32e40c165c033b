"""Records how a training run goes through its config: which files read it, which write into it.

``python -m tests.config.walk [CONFIG ...]`` trains small versions of the configs for two iterations
and prints for each: stays, files, returns to a file already left, and the folders that write.

A stay is a stretch of calls in one file of the package that get the config of the run, or a part of
it, as an argument. Fewer returns mean that a reader follows the config with fewer jumps.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from inspect import CO_GENERATOR
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

from mmengine.config import Config, ConfigDict

from rein_seg.apis import load_config, train
from tests.paths import PACKAGE, REPO
from tests.run.driving_trees import write_trees
from tests.run.tiny_run import tiny_config

CONFIGS = ('rein_tiny_miniscapes', 'conv_lora_tiny_blobs', 'rein_dinov2_gtav')
_WRITES = ('__setattr__', '__setitem__', '__delitem__', 'pop', 'update', 'setdefault')


@dataclass
class Walk:
    """Calls that got the config, and files that wrote into it.

    Attributes:
        calls: File and function of each call, in order.
        writers: Files.
    """

    calls: list[tuple[str, str]] = field(default_factory=list)
    writers: set[str] = field(default_factory=set)
    _configs: list[Config] = field(default_factory=list)
    _generators: list[FrameType] = field(default_factory=list)

    @property
    def stays(self) -> list[str]:
        """The file of each stay."""
        return [file for file, _ in groupby(file for file, _ in self.calls)]

    @property
    def returns(self) -> int:
        """Number of stays in a file that had been left."""
        return len(self.stays) - len(set(self.stays))

    def see(self, frame: FrameType, event: str, _: Any) -> None:
        """Takes a call that Python reports; each resumption of a generator is reported, too."""
        code = frame.f_code
        file = _file(code.co_filename) if event == 'call' else None
        if file is None or code.co_name.startswith('<'):
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        values = [frame.f_locals.get(name) for name in names]
        parts = [value for value in values if isinstance(value, (Config, ConfigDict))]
        if not parts or self._is_resumed(frame):
            return
        self._configs += [value for value in parts if isinstance(value, Config)]
        if any(self._is_part(value) for value in parts):
            self.calls.append((file, code.co_name))

    def _is_resumed(self, frame: FrameType) -> bool:
        if not frame.f_code.co_flags & CO_GENERATOR:
            return False
        known = any(frame is other for other in self._generators)
        self._generators += [] if known else [frame]
        return known

    def write(self, node: Any, frame: FrameType | None) -> None:
        """Takes a write: its author is the innermost frame that is not mmengine's."""
        while frame is not None and 'mmengine' in frame.f_code.co_filename.split('/'):
            frame = frame.f_back
        file = None if frame is None else _file(frame.f_code.co_filename)
        if file is not None and self._is_part(node):
            self.writers.add(file)

    def _is_part(self, value: Any) -> bool:
        return any(
            value is config or value is node for config in self._configs for node in _nodes(config)
        )


def _nodes(config: Config) -> Iterator[Any]:
    """Yields every dict of a config."""
    waiting = [config._cfg_dict]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
        waiting += part.values() if isinstance(part, dict) else part
        waiting = [one for one in waiting if isinstance(one, (dict, list, tuple))]


@cache
def _file(name: str) -> str | None:
    """Returns a file's path below the package, None outside of it."""
    path = Path(name)
    return path.relative_to(PACKAGE).as_posix() if PACKAGE in path.parents else None


@contextlib.contextmanager
def recorded() -> Iterator[Walk]:
    """Records the calls and writes of a block."""
    walk, replaced = Walk(), []
    for kind in (Config, ConfigDict):
        for name in _WRITES:
            if hasattr(kind, name):
                replaced.append((kind, name, kind.__dict__.get(name)))
                setattr(kind, name, _watched(getattr(kind, name), walk))
    sys.setprofile(walk.see)
    try:
        yield walk
    finally:
        sys.setprofile(None)
        for kind, name, original in replaced:
            if original is None:
                delattr(kind, name)
            else:
                setattr(kind, name, original)


def _watched(original: Any, walk: Walk) -> Any:
    def write(self: Any, *args: Any, **kwargs: Any) -> Any:
        walk.write(self, sys._getframe(1))
        return original(self, *args, **kwargs)

    return write


def small(name: str, folder: Path) -> Config:
    """Returns a shipped config that trains in seconds: two iterations, tiny data, tiny encoder."""
    if name == 'rein_tiny_miniscapes':
        return tiny_config(folder, name, train_cfg__max_iters=2, train_cfg__val_interval=2)
    path = str(REPO / f'configs/{name}.py')
    options: dict[str, Any] = {'max_iters': 2, 'data_root': str(folder / 'data')}
    if name == 'conv_lora_tiny_blobs':
        options |= {f'val_dataloader.dataset.datasets.{i}.count': 1 for i in range(5)}
        options |= {'train_dataloader.dataset.count': 4, 'param_scheduler': []}
    else:
        write_trees(folder / 'data')
        options |= GTAV
    return load_config(path, work_dir=str(folder / 'run'), cfg_options=options)


GTAV = {
    'model.backbone.encoder': dict(
        _delete_=True, name='tiny', type='DINOv2', img_size=512, out_indices=[0, 1, 2, 3],
        arch=dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32), init_seed=0,
    ),
    'model.backbone.peft': dict(type='Rein', num_tokens=8, rank=4, query_dims=16),
    'model.decode_head': dict(
        feat_channels=16, num_queries=8, num_heads=2, encoder_layers=1, decoder_layers=1,
        encoder_hidden=16, decoder_hidden=16, norm_groups=4, loss=dict(num_points=256),
    ),
    **{f'{use}_dataloader.num_workers': 0 for use in ('train', 'val', 'test')},
    'train_dataloader.batch_size': 1,
}  # fmt: skip


def walk(name: str) -> Walk:
    """Trains a small version of a shipped config and returns its walk."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = small(name, Path(folder))
        with recorded() as found:
            train(cfg)
    return found


def report(name: str, found: Walk) -> str:
    """Returns the lines on one config."""
    return (
        f'{name}: {len(found.stays)} stays in {len(set(found.stays))} files, {found.returns} '
        f'returns; written in {", ".join(sorted(found.writers))}\n    {" > ".join(found.stays)}\n'
    )


if __name__ == '__main__':
    for one in sys.argv[1:] or CONFIGS:
        sys.stdout.write(report(one, walk(one)))
