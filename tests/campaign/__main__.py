"""Tries wrong, damaged and hostile inputs on the commands: ``make campaign``.

    python -m tests.campaign                       all kinds; writes the table of the docs
    python -m tests.campaign code                  this kind
    python -m tests.campaign system --only disk    cases with "disk" in their name

A kind is a module of this package with ``KIND``, its name in the table, and ``cases()``.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from importlib import import_module

from tests.campaign.case import CLEAR, VERDICTS
from tests.campaign.page import write_table
from tests.campaign.run import run_all, warm_up

KINDS = ('code', 'system', 'values', 'weights', 'pictures', 'own_images')


def main() -> int:
    """Runs the kinds that are asked for; 1 if a case is not clear."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('kinds', nargs='*', default=KINDS)
    parser.add_argument('--only', default='', help='cases with this in their name')
    parser.add_argument('--jobs', type=int, default=2, help='cases side by side')
    args = parser.parse_args()
    warm_up()
    rows, faults = [], []
    for name in args.kinds:
        kind = import_module(f'tests.campaign.{name}')
        results = run_all([c for c in kind.cases() if args.only in c.name], jobs=args.jobs)
        counts = Counter(verdict for _, verdict, _ in results)
        rows.append([kind.KIND, len(results), *(counts[verdict] for verdict in VERDICTS)])
        faults += [(name, case.name, *rest) for case, *rest in results if rest[0] != CLEAR]
    total = ['all', *map(sum, list(zip(*rows, strict=True))[1:])]
    whole = tuple(args.kinds) == KINDS and not args.only
    write_table('campaign', [('kind', 'tried', *VERDICTS), *rows, total], keep=whole)
    for fault in faults:
        sys.stdout.write(' | '.join(fault) + '\n')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
