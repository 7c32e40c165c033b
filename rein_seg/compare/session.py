"""Runs the missing runs of a comparison, and rewrites its tables each time a run ends."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from rein_seg.compare import processes
from rein_seg.compare import state as disk
from rein_seg.compare.aggregate import build_comparison
from rein_seg.compare.entry import Run
from rein_seg.compare.plan import Variant, check_encoders
from rein_seg.compare.tables import WRITERS, decimals, text_tables, write_comparison
from rein_seg.errors import UserError

TRAIN = (sys.executable, '-m', 'rein_seg', 'train')


@dataclass(frozen=True)
class Settings:
    """Settings of all runs; see `rein_seg.compare.compare`."""

    folder: Path
    metrics: tuple[str, ...] = ()
    jobs: int = 1
    amp: bool = False
    other_code: bool = False
    train: tuple[str, ...] = TRAIN
    command: str | None = None


class Session:
    """The runs of a comparison: finished, in progress, or waiting.

    Args:
        settings: Settings of all runs.
        variants: Variants to compare.
        seeds: Seeds of each variant.
        say: Gets progress lines.

    Raises:
        UserError: If a run on disk has another config than requested.
    """

    def __init__(
        self,
        settings: Settings,
        variants: Sequence[Variant],
        seeds: Sequence[int],
        *,
        say: Callable[[str], object],
    ) -> None:
        self.settings, self.say = settings, say
        self.variants = {variant.name: variant for variant in variants}
        code = disk.code_fingerprint()
        # all variants with the first seed come first, so that early tables compare all variants
        wanted = [Run(v.name, seed, config=v.config) for seed in seeds for v in variants]
        self.runs = {(run.variant, run.seed): self._look(run, code) for run in wanted}
        self.numbers = {key: i for i, key in enumerate(self.runs, start=1)}
        self.slots = settings.jobs

    def work(self, lock: int) -> dict[str, Any]:
        """Runs the missing runs; returns the comparison.

        Args:
            lock: Descriptor of the folder's lock.

        Raises:
            UserError: If a metric is not in the results: at once if there are results, else at the
                end, since runs do not depend on it.
        """
        missing = [run for run in self.runs.values() if run.state != 'finished']
        self.slots = min(self.settings.jobs, len(missing))
        check_encoders([self.variants[name] for name in {run.variant for run in missing}])
        self._announce(missing)
        self._write(strict=True)
        for name in {run.variant for run in missing}:
            self.variants[name].write(self.settings.folder)
        try:
            processes.run_all(
                missing,
                lambda run, slot: self._start(run, slot, lock),
                self._ended,
                slots=self.slots,
            )
        except KeyboardInterrupt:
            self.say('stopped; the same command goes on from the newest checkpoints')
            raise
        comparison = self._write(strict=True)
        self.say('\n' + text_tables(comparison))
        self.say(f'wrote {", ".join(["comparison.json", *WRITERS])} in {self.settings.folder}/')
        return comparison

    def _folder(self, run: Run) -> Path:
        return self.settings.folder / run.variant / f'seed_{run.seed}'

    def _request(self, run: Run) -> dict[str, Any]:
        config = self.variants[run.variant].with_seed(run.seed)
        return disk.run_request(config, amp=self.settings.amp)

    def _look(self, run: Run, code: Mapping[str, str] | None) -> Run:
        """Returns the run with the state of its folder; ``code`` None accepts any code."""
        folder = self._folder(run)
        state = disk.run_state(
            folder, self._request(run), None if self.settings.other_code else code
        )
        if state == 'new':
            return replace(run, state='waiting')
        sessions = disk.read_run(folder)['sessions']
        run = replace(run, state=state, sessions=sessions, wall_seconds=disk.wall_seconds(sessions))
        if state != 'finished':
            return run
        path = folder / 'results.json'
        relative = path.relative_to(self.settings.folder).as_posix()
        return replace(run, path=relative, results=disk.read_json(path))

    def _start(self, run: Run, slot: int, lock: int) -> processes.Child:
        folder, settings = self._folder(run), self.settings
        resumed = run.state == 'interrupted'
        config = settings.folder / run.variant / f'{run.variant}.py'
        command = [*settings.train, str(config), '--work-dir', str(folder)]
        command += ['--cfg-options', f'randomness.seed={run.seed}', '--inference-cost']
        command += ['--resume'] * resumed + ['--amp'] * settings.amp
        env = processes.slot_environment(
            slot,
            self.slots,
            gpus=torch.cuda.device_count(),
            cores=os.cpu_count() or 1,
            base=os.environ,
        )
        disk.begin_session(
            folder, self._request(run), disk.code_fingerprint(), resumed=resumed, jobs=self.slots
        )
        self._update(replace(run, state='running'))
        self.say(
            f'{self._title(run)}: {"goes on" if resumed else "starts"}; log: {folder}/stdout.txt'
        )
        return processes.spawn(run, command, folder, env=env, lock=lock)

    def _ended(self, child: processes.Child, stopped: bool) -> None:
        folder, exit_code = child.folder, child.process.returncode
        if not disk.read_run(folder):
            self._vanished(child.job, folder, stopped=stopped)
            return
        disk.end_session(folder, child.seconds, exit_code)
        run = self._look(child.job, None)
        if not stopped and run.state != 'finished':
            errors = processes.tail(folder / 'stderr.txt')
            run = replace(run, state='failed', error=processes.exit_reason(exit_code, errors))
            self.say('\n'.join(filter(None, [f'{self._title(run)}: failed, {run.error}', errors])))
        self._update(run)
        comparison = self._write(strict=False)
        if run.state == 'finished':
            self.say(f'{self._title(run)}: {_outcome(comparison, run)}{self._left()}')

    def _vanished(self, run: Run, folder: Path, *, stopped: bool) -> None:
        """Notes a run whose folder was deleted while it ran; nothing is written after a stop."""
        error = f'{folder} was deleted while the run worked; the same command starts it anew'
        self.say(f'{self._title(run)}: {error}')
        if not stopped:
            self._update(replace(run, state='failed', error=error))
            self._write(strict=False)

    def _update(self, run: Run) -> None:
        self.runs[run.variant, run.seed] = run

    def _write(self, *, strict: bool) -> dict[str, Any]:
        """Writes the comparison as it stands; returns it."""
        # tables list runs by variant, in the order of the request
        runs = [run for name in self.variants for run in self.runs.values() if run.variant == name]
        command = self.settings.command
        try:
            comparison = build_comparison(runs, self.settings.metrics, command=command)
        except UserError:
            if strict:
                raise
            comparison = build_comparison(runs, command=command)
        write_comparison(self.settings.folder, comparison)
        return comparison

    def _title(self, run: Run) -> str:
        number = self.numbers[run.variant, run.seed]
        return f'[{number}/{len(self.runs)}] {run.variant}, seed {run.seed}'

    def _announce(self, missing: Sequence[Run]) -> None:
        going_on = sum(run.state == 'interrupted' for run in missing)
        seeds = len(self.runs) // len(self.variants)
        self.say(
            f'{len(self.variants)} variants x {seeds} seeds in {self.settings.folder}/: '
            f'{len(self.runs) - len(missing)} of {len(self.runs)} runs are finished, '
            f'{going_on} go on'
        )

    def _left(self) -> str:
        runs = self.runs.values()
        left = seconds_left(
            [(run.variant, run.wall_seconds) for run in runs if run.state == 'finished'],
            [run.variant for run in runs if run.state in ('waiting', 'running', 'interrupted')],
            jobs=self.slots,
        )
        return f'; about {duration(left)} left' if left else ''


def seconds_left(
    finished: Sequence[tuple[str, float | None]], waiting: Sequence[str], *, jobs: int
) -> float | None:
    """Estimates the remaining time from the mean of each variant's finished runs, else of all.

    Args:
        finished: (variant, seconds) of finished runs.
        waiting: Variant of each run to come.
        jobs: Number of runs at a time.

    Example:
        >>> from rein_seg.compare.session import seconds_left
        >>> seconds_left([('LoRA', 60.0), ('Rein', 80.0)], ['LoRA', 'LoRA', 'SSF'], jobs=1)
        190.0
    """
    times: dict[str, list[float]] = {}
    for variant, seconds in finished:
        if seconds is not None:
            times.setdefault(variant, []).append(seconds)
    if not times:
        return None
    typical = statistics.fmean(second for each in times.values() for second in each)
    each = [statistics.fmean(times.get(variant, [typical])) for variant in waiting]
    return sum(each) / min(jobs, max(1, len(each)))


def duration(seconds: float) -> str:
    """Returns a time in rounded units.

    Example:
        >>> from rein_seg.compare.session import duration
        >>> duration(42), duration(250), duration(3900), duration(9000)
        ('42 s', '4 min', '65 min', '2 h 30 min')
    """
    if seconds < 90:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 90 else f'{minutes // 60} h {minutes % 60} min'


def _outcome(comparison: Mapping[str, Any], run: Run) -> str:
    """Returns the scores of a finished run in the first shown metric, in a line."""
    metric = comparison['shown'][0]
    entry = next(
        e for e in comparison['runs'] if (e['variant'], e['seed']) == (run.variant, run.seed)
    )
    scores = entry['scores'][metric]
    parts = {'over targets': scores['mean_over_targets'], 'on the source': scores['source']}
    digits = decimals(comparison, metric)
    said = [f'{value:.{digits}f} {where}' for where, value in parts.items() if value is not None]
    took = '' if run.wall_seconds is None else f' in {duration(run.wall_seconds)}'
    return f'done{took}, {metric} {", ".join(said)}'
