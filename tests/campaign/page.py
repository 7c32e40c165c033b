"""The tables of docs/background/reliability.md, between markers."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.paths import REPO

PAGE = REPO / 'docs/background/reliability.md'


def write_table(marker: str, lines: Sequence[Sequence], *, keep: bool) -> None:
    """Prints a table whose first line is the head, and where ``keep`` writes it into the page."""
    rule = ['---', *['---:'] * (len(lines[0]) - 1)]
    rows = [lines[0], rule, *lines[1:]]
    table = '\n'.join('| ' + ' | '.join(map(str, row)) + ' |' for row in rows)
    sys.stdout.write(f'{table}\n')
    if keep:
        begin, end = f'<!-- {marker}: begin -->', f'<!-- {marker}: end -->'
        page = PAGE.read_text(encoding='utf-8')
        before, after = page.split(begin)[0], page.split(end)[1]
        PAGE.write_text(f'{before}{begin}\n{table}\n{end}{after}', encoding='utf-8')
