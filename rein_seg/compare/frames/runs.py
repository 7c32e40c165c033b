"""The runs of a picture of frames: read and checked together, loaded one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from rein_seg.compare.stored import method_name
from rein_seg.errors import UserError
from rein_seg.inference.loading import load, stored_config
from rein_seg.inference.predictor import Predictor
from rein_seg.run.predict import dataset_meta


@dataclass(frozen=True)
class FrameRun:
    """A run: its name in the picture, its weights file, its config.

    Attributes:
        name: Unique among the runs.
        path: Adapter file or checkpoint.
        cfg: Config in that file.
        meta: ``classes`` and ``palette`` of the model's channels.
    """

    name: str
    path: Path
    cfg: Config
    meta: dict[str, Any]

    def load(self, device: str | None) -> Predictor:
        """Loads the model.

        Raises:
            UserError: As `rein_seg.load`.
        """
        predictor = load(self.path, device=device)
        assert isinstance(predictor, Predictor), 'read_runs refuses models of whole images'
        return predictor


def read_runs(sources: Sequence[str], names: Sequence[str] | None = None) -> list[FrameRun]:
    """Reads the configs of runs, and checks that their predictions can stand side by side.

    Args:
        sources: As for `rein_seg.load`: folders of runs, adapter files, checkpoints, hub ids.
        names: A name for each; None takes the methods, with the folders where methods are equal.

    Raises:
        UserError: If a source cannot be read, is of whole images or of several tasks, the numbers
            of names and sources differ, a name comes twice, or classes or benchmarks differ.
    """
    if names is not None and len(names) != len(sources):
        raise UserError(
            f'--names has {len(names)} names for {len(sources)} runs: expected a name for each'
        )
    found = [stored_config(source) for source in sources]
    labels = list(names) if names is not None else _names([cfg for _, cfg, _ in found], sources)
    for name in labels:
        if labels.count(name) > 1:
            raise UserError(f'two runs are called {name!r}: expected different --names')
    runs = [
        FrameRun(name, path, cfg, {**dataset_meta(cfg), **meta})
        for name, (path, cfg, meta) in zip(labels, found, strict=True)
    ]
    for run in runs:
        _check_task(run)
        _check_same(run, runs[0])
    return runs


def _check_task(run: FrameRun) -> None:
    kind = str(run.cfg.model.type).rpartition('.')[2]
    if kind in ('PEFTImageModel', 'MultiTaskSegmentor'):
        raise UserError(
            f'{str(run.path)!r} is a {kind}: expected a model of one task, a class for each pixel; '
            'leave the run out'
        )


def _check_same(run: FrameRun, first: FrameRun) -> None:
    for word, theirs, ours in (
        ('benchmark', _benchmark(run), _benchmark(first)),
        ('classes', tuple(run.meta['classes']), tuple(first.meta['classes'])),
    ):
        if theirs != ours:
            raise UserError(
                f'{first.name} and {run.name} have different {word}, {ours} and {theirs}: expected '
                f'runs of one benchmark, since colours and scores of others mean something else'
            )


def _benchmark(run: FrameRun) -> str | None:
    return (run.cfg.get('benchmark') or {}).get('name')


def _names(configs: Sequence[Config], sources: Sequence[str]) -> list[str]:
    """Returns the method of each run; of equal methods with the path that was given."""
    methods = [method_name(cfg.model.backbone.get('peft') or {'type': '?'}) for cfg in configs]
    return [
        name if methods.count(name) == 1 else f'{name} {source}'
        for name, source in zip(methods, map(str, sources), strict=True)
    ]
