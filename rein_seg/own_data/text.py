"""The text of a data file, and the report of a look at a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from rein_seg.own_data.contents import COLOURS, IDS, Contents, rgb_of
from rein_seg.own_data.groups import Group
from rein_seg.own_data.proposal import Proposal

_WIDTH = 10**6  # yaml breaks no line


def data_text(
    name: str,
    proposal: Proposal,
    groups: Sequence[Group],
    rules: Mapping[str, tuple[Mapping[str, Any], str]],
    *,
    size: int,
    sources: Sequence[str],
    root: str | None,
    bands: Mapping[str, Any] | None = None,
) -> str:
    """Returns the YAML of a data file.

    Args:
        name: Of the data.
        proposal: Classes.
        groups: Of the images.
        rules: Domain -> rule that divides its images, and the reason.
        size: Short side that images are resized to.
        sources: Domains that train.
        root: Folder that the others are relative to; None is the file's.
        bands: Keys that describe the bands of the images; None for RGB.
    """
    keys = proposal.as_keys()
    lines = ['# Written by rein-seg init-data: correct what is wrong, above all the names.']
    lines += [f'name: {_flow(name)}', '']
    lines += _classes(proposal, keys)
    for key in ('label_colours', 'palette'):
        if key in keys:
            lines += [f'{key}:', *(f'  {_flow(k)}: {_flow(v)}' for k, v in keys[key].items())]
    if 'threshold' in keys:
        lines += [f'threshold: {keys["threshold"]}  # lowest grey value of the second class']
    if 'ignore' in keys:
        lines += [f'ignore: {_flow(keys["ignore"])}  # pixels without a class']
    lines += [] if root is None else [f'root: {_flow(root)}']
    for key, value in (bands or {}).items():
        lines += ['', f'{key}: {_flow(value)}'] if key == 'bands' else [f'{key}: {_flow(value)}']
    lines += ['', f'size: {size}  # short side that images are resized to; more sees small things']
    lines += ['domains:']
    for domain in dict.fromkeys(group.domain for group in groups):
        own = [group for group in groups if group.domain == domain]
        lines += [f'  {_flow(domain)}:', *_domain(own, rules.get(domain))]
    said = sources[0] if len(sources) == 1 else list(sources)
    lines += [f'source: {_flow(said)}  # trains; the other domains are targets, tested alone']
    return '\n'.join(lines) + '\n'


def _classes(proposal: Proposal, keys: Mapping[str, Any]) -> list[str]:
    """Returns the lines of the classes, each with its share."""
    comment = {one.name: f'{one.share:.2%} of the pixels' for one in proposal.classes}
    if proposal.kind == IDS:
        head = ['classes:  # id in the labels: name']
        rows = [(f'{code}: {_flow(name)}', name) for code, name in keys['classes'].items()]
    else:
        head, rows = ['classes:'], [(f'- {_flow(name)}', name) for name in keys['classes']]
    return head + [f'  {text:<28}  # {comment[name]}' for text, name in rows]


def _domain(groups: Sequence[Group], rule: tuple[Mapping[str, Any], str] | None) -> list[str]:
    lines = []
    for group in groups:
        if group.split is None:
            lines += [f'    {key}: {_flow(value)}' for key, value in group.entry.items()]
        else:
            lines += [f'    {group.split}: {_flow(group.entry)}']
    if rule is not None:
        lines += [f'    split: {_flow(dict(rule[0]))}  # {rule[1]}']
    return lines


def _flow(value: Any) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=_WIDTH
    )
    return text.removesuffix('\n').removesuffix('\n...')


def class_table(proposal: Proposal, contents: Contents) -> str:
    """Returns the table of the classes."""
    rows = []
    for index, one in enumerate(proposal.classes):
        code = '#{:02x}{:02x}{:02x}'.format(*rgb_of(one.code))
        rows.append((str(index), one.name, code if proposal.kind == COLOURS else str(one.code),
                     f'{one.share:.2%}'))  # fmt: skip
    total = max(1, sum(contents.counts.values()))
    ignored = sum(contents.counts[code] for code in proposal.ignored) / total
    shown = [rgb_of(c) if proposal.kind == COLOURS else c for c in proposal.ignored]
    rows.append(('-', 'ignored', ' '.join(map(str, shown)) or '-', f'{ignored:.2%}'))
    heads = ('class', 'name', 'colour' if proposal.kind == COLOURS else 'id', 'pixels')
    return table(heads, rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns rows under heads, in columns.

    Example:
        >>> from rein_seg.own_data.text import table
        >>> print(table(('name', 'images'), [('day', '153')]))
        name  images
        day   153
    """
    every = [heads, *rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(heads))]
    lines = ('  '.join(f'{x:<{w}}' for x, w in zip(row, widths, strict=True)) for row in every)
    return '\n'.join(line.rstrip() for line in lines)
