"""Kills runs with SIGKILL and resumes them: ``make chaos``.

    python -m tests.chaos                        all configurations; writes the table of the docs
    python -m tests.chaos --kills 4 --only amp   those with "amp" in their name

Half of the kills come at a random moment, half before or after a random change of a file name.
A resumed run must end with the bits of the run that nobody killed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.campaign.page import write_table
from tests.campaign.run import warm_up
from tests.chaos.kills import Kill
from tests.chaos.runs import (
    CONFIGURATIONS,
    Configuration,
    final_state,
    half_written,
    prepare_folder,
    start,
)

COLUMNS = ('configuration', 'kills', 'equal', 'differ', 'half-written files', 'failed')


def main() -> int:
    """Runs all configurations; 1 if a resumed run is not equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--only', default='', help='configurations with this in their name')
    parser.add_argument('--kills', type=int, default=18, help='of each configuration')
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    parser.add_argument('--jobs', type=int, default=2, help='runs side by side')
    args = parser.parse_args()
    warm_up()
    parent = Path(tempfile.mkdtemp(prefix='chaos-'))
    kinds = [kind for kind in CONFIGURATIONS if args.only in kind.name]
    try:
        rows = [_try(kind, parent, args) for kind in kinds]
    finally:
        shutil.rmtree(parent)
    total = ['all', *(sum(row[i] for row in rows) for i in range(1, len(COLUMNS)))]
    write_table('chaos', [COLUMNS, *rows, total], keep=not args.only and args.kills >= 17)
    return int(any(sum(row[3:]) for row in rows))


def _try(kind: Configuration, parent: Path, args: argparse.Namespace) -> list:
    """Returns the row of a configuration."""
    number = CONFIGURATIONS.index(kind)
    scenes = parent / 'scenes'
    whole = prepare_folder(parent / f'{number}-whole', scenes)
    begin, changes = time.monotonic(), whole / 'changes'
    outcome = start(kind, whole, note=lambda n, done: changes.write_text(str(n)))
    if outcome.code != 0:
        raise SystemExit(
            f'{kind.name}: the run without kills ended with {outcome.code}\n{outcome.err[-2000:]}'
        )
    seconds, wanted = time.monotonic() - begin, final_state(whole)
    if not scenes.exists():
        shutil.copytree(whole / 'scenes', scenes)
    draw = random.Random(f'{args.seed} {kind.name}')
    last = int(changes.read_text())
    kills = [_draw(draw, kind, seconds, last, at_file=n % 2 == 1) for n in range(args.kills)]

    def one(item: tuple[int, Kill]) -> str:
        folder, kill, outcome = parent / f'{number}-{item[0]}', item[1], None
        while outcome is None or outcome.code == 0:  # the run had ended before the kill
            kill = kill if outcome is None else kill.earlier()
            outcome = start(kind, prepare_folder(folder, scenes), kill)
        verdict = _resume(kind, folder, wanted)
        sys.stdout.write(f'{kind.name}: {kill}: {verdict}\n')
        sys.stdout.flush()
        shutil.rmtree(folder)
        return verdict

    with ThreadPoolExecutor(args.jobs if kind.ranks == 1 else 1) as pool:
        verdicts = list(pool.map(one, enumerate(kills)))
    counts = [
        sum(v.startswith(word) for v in verdicts) for word in ('equal', 'differ', 'half', 'fail')
    ]
    return [kind.name, len(verdicts), *counts]


def _draw(
    draw: random.Random, kind: Configuration, seconds: float, last: int, at_file: bool
) -> Kill:
    rank = draw.randrange(kind.ranks)
    if at_file:
        return Kill(change=draw.randint(1, last), before=draw.random() < 0.5)
    return Kill(seconds=draw.uniform(0.05, seconds), rank=rank)


def _resume(kind: Configuration, folder: Path, wanted: dict) -> str:
    """Returns how a killed run went on: equal, differs, half-written files, or failed."""
    broken = list(half_written(folder))
    if broken:
        return f'half-written: {broken[0]}'
    outcome = start(kind, folder)
    if outcome.code != 0:
        return f'failed: {outcome.err.strip().splitlines()[-1:]}'
    found = final_state(folder)
    differing = [key for key in wanted if found[key] != wanted[key]]
    left = [path.name for path in (folder / 'run').rglob('.*.tmp')]
    if left:
        return f'failed: {left[0]} was not cleaned up'
    return f'differ: {differing}' if differing else 'equal'


if __name__ == '__main__':
    sys.exit(main())
