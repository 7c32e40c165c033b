"""The wishes of a command beside a config's files, and the words that they set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from rein_seg.config.config_paths import Parts
from rein_seg.engine.checkpoint_files import latest_checkpoint
from rein_seg.engine.trackers import tracker_configs
from rein_seg.errors import UserError
from rein_seg.models.base import task_of


@dataclass(frozen=True, kw_only=True)
class Request:
    """The wishes of a command.

    Args:
        options: Dotted names -> values, as from ``--cfg-options``.
        work_dir: Folder of the run; default the config's, else ``work_dirs/<config name>``.
        subfolder: Of the work folder, where ``work_dir`` is not given.
        protocol: Another protocol of the benchmark.
        training: Whether it is for a training run on all processes: epochs become iterations, and
            selecting a checkpoint on target domains is an error.
        resume: Resume from the newest checkpoint of the work folder.
        resume_from: Resume from this checkpoint.
        weights_given: Whether the command loads weights itself: ``load_from`` and ``resume`` are
            off.
        amp: bfloat16 autocast.
        launcher: none, or pytorch under torchrun.
        out: Folder for predictions of the test as png files of class indexes.
        show_dir: Folder for predictions painted over the images.
        track: Names of programs to follow the run with, see `rein_seg.engine.trackers`.
        data_only: Whether only data sets are needed, of a config that may lack a model.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    work_dir: str | None = None
    subfolder: str = ''
    protocol: str | None = None
    training: bool = False
    resume: bool = False
    resume_from: str | None = None
    weights_given: bool = False
    amp: bool = False
    launcher: str | None = None
    out: str | None = None
    show_dir: str | None = None
    track: Sequence[str] = ()
    data_only: bool = False

    @property
    def benchmark(self) -> str | Mapping[str, Any] | None:
        """Benchmark among the options, by name or data file, in the place of the config's."""
        named = self.options.get('benchmark')
        by_file = isinstance(named, Mapping) and 'data' in named
        return named if isinstance(named, str) or by_file else None

    @property
    def plain_options(self) -> dict[str, Any]:
        """The options without such a name."""
        aside = 'benchmark' if self.benchmark is not None else None
        return {key: value for key, value in self.options.items() if key != aside}


def take_start(cfg: Config, request: Request) -> str | None:
    """Returns the checkpoint to resume from, and turns ``resume`` of the config off, in place.

    So a resumed run has the config, and writes the adapter, of a run that was never interrupted.

    Raises:
        UserError: If the work folder holds no checkpoint to resume.
    """
    if request.resume_from is not None:
        cfg.resume = False
        return request.resume_from
    if request.weights_given or not (request.resume or cfg.get('resume')):
        return None
    # as in mmengine: the config's own resume goes on from load_from, if there is one
    named = None if request.resume else cfg.get('load_from')
    cfg.resume = False
    return named or latest_checkpoint(cfg.work_dir)


def start_heads_from_no_file(cfg: Config) -> None:
    """Takes the files that heads start from out of a config, in place.

    A file of trained weights holds the whole of every head, so nobody needs these files again.

    Example:
        >>> from mmengine.config import Config
        >>> from rein_seg.config.request import start_heads_from_no_file
        >>> head = dict(type='DuATHead', checkpoint='duat.pth')
        >>> cfg = Config(dict(model=dict(decode_head=head)))
        >>> start_heads_from_no_file(cfg)
        >>> cfg.model.decode_head
        {'type': 'DuATHead', 'checkpoint': None}
    """
    for name in ('decode_head', 'auxiliary_head'):
        heads = (cfg.get('model') or {}).get(name) or []
        for head in heads if isinstance(heads, list) else [heads]:
            if head.get('checkpoint') is not None:
                head.checkpoint = None


def fill_work_dir(cfg: Config, request: Request) -> None:
    """Gives a config without a work folder the default, in place."""
    if request.work_dir is None:
        folder = cfg.get('work_dir') or f'work_dirs/{Path(cfg.filename or "config").stem}'
        cfg.work_dir = f'{folder}/{request.subfolder}' if request.subfolder else folder


def set_run(cfg: Config, parts: Parts, request: Request) -> None:
    """Sets protocol, folder, start and outputs of the run, in place."""
    if request.protocol is not None:
        cfg.protocol = request.protocol
    if request.work_dir is not None:
        cfg.work_dir = request.work_dir
    if request.weights_given:  # the runner would load it over these weights
        cfg.load_from, cfg.resume = None, False
        start_heads_from_no_file(cfg)
    of_images = task_of((cfg.get('model') or {}).get('type')) == 'images'
    for word in ('out', 'show_dir'):
        if of_images and getattr(request, word) is not None:
            raise UserError(
                f'--{word.replace("_", "-")} writes maps of classes, and {cfg.model.type} gives '
                'one result for a whole image: leave it out; rein-seg predict writes a table'
            )
    if request.out is not None:
        for i, metric in enumerate(parts.metrics['test']):
            if metric.get('task') is not None:  # images of several tasks have the same names
                metric['output_dir'] = f'{request.out}/{metric["task"]}'
            elif i == 0:
                metric['output_dir'] = request.out
    if request.show_dir is not None:
        hook = dict(type='ShowPredictionsHook', draw=True, interval=1)
        cfg.default_hooks['visualization'] = hook
        cfg.visualizer['save_dir'] = request.show_dir
    if request.track:
        backends = tracker_configs(request.track, cfg.work_dir)
        own = cfg.get('visualizer') or dict(type='SegLocalVisualizer')
        before = own.get('vis_backends') or [dict(type='LocalVisBackend')]
        cfg.visualizer = {**own, 'vis_backends': [*before, *backends]}
