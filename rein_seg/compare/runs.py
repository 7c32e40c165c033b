"""Trains and compares variants of configs: the command ``compare``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from rein_seg.compare.plan import Variant, check_metrics, plan_variants
from rein_seg.compare.processes import locked
from rein_seg.compare.request import Method, command_line, read_request
from rein_seg.compare.session import TRAIN, Session, Settings
from rein_seg.errors import UserError
from rein_seg.signals import terminable


def compare(
    configs: Sequence[str],
    *,
    peft: Sequence[Method] | None = None,
    seeds: Sequence[int] | None = None,
    work_dir: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    metrics: Sequence[str] | None = None,
    jobs: int = 1,
    amp: bool = False,
    other_code: bool = False,
    say: Callable[[str], object] = print_log,
    train: Sequence[str] = TRAIN,
) -> dict[str, Any]:
    """Trains every variant with every seed, one process a run, and compares their results.

    Finished runs are not repeated, interrupted runs resume. ``comparison.json``, ``.md``, ``.csv``,
    ``.png`` and ``.html`` are rewritten each time a run ends, even if it failed. The config's
    ``comparison`` sets the defaults of methods, seeds and metrics.

    Args:
        configs: Config files or names of shipped configs, of one benchmark.
        peft: Methods that replace the configs' own: ``TYPE``, ``NAME=TYPE`` or ``NAME={JSON}``;
            empty keeps the configs' methods.
        seeds: Seeds that each variant is run with; defaults to 0, 1, 2.
        work_dir: Folder of the comparison; a run has the folder ``<variant>/seed_<n>`` inside.
            Defaults to ``work_dirs/compare/NAME`` with the name of the config, or of the benchmark
            if there are several configs.
        cfg_options: Dotted names -> values, for all variants.
        metrics: Scores to show; empty takes hIoU, S and U where classes are unseen, Dice_image for
            binary tasks, else mIoU.
        jobs: Number of runs at a time.
        amp: Whether to train with bfloat16 autocast.
        other_code: Whether to accept earlier runs made by other code.
        say: Gets progress lines, and the tables at the end.
        train: Command that trains a config.

    Returns:
        The content of ``comparison.json``.

    Raises:
        UserError: Before anything runs, if the variants do not fit together, or the folder holds a
            run of another config, or a metric is not among the scores of the variants.
    """
    given = dict(peft=peft, seeds=seeds, metrics=metrics)
    request = read_request(configs, **given)
    if jobs < 1:
        raise UserError(f'--jobs {jobs}: expected 1 or more runs at a time')
    variants = plan_variants(configs, peft=request.peft, cfg_options=cfg_options)
    check_metrics(variants, request.metrics)
    settings = Settings(
        folder=Path(work_dir or _default_folder(variants)),
        metrics=tuple(request.metrics),
        jobs=jobs,
        amp=amp,
        other_code=other_code,
        train=tuple(train),
        command=command_line(configs, given=given, cfg_options=cfg_options, amp=amp),
    )
    with locked(settings.folder) as lock, terminable():
        return Session(settings, variants, request.seeds, say=say).work(lock)


def _default_folder(variants: Sequence[Variant]) -> str:
    names = {Path(variant.config).stem for variant in variants}
    only = names.pop() if len(names) == 1 else variants[0].content['benchmark'].get('name')
    return f'work_dirs/compare/{only}'
