"""Reports findings about data sets, as text and as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rein_seg.data_check.check import PartCheck
from rein_seg.datasets.files.faults import KINDS, Fault
from rein_seg.datasets.files.walk import describe
from rein_seg.datasets.sampling.class_counts import absent_classes
from rein_seg.evaluation.tables import table

FORMAT = 'rein_seg-check_data/1'
_SHOWN = 20  # faults of a kind in the text; the JSON file lists all


def report(name: str, checks: Sequence[PartCheck]) -> dict[str, Any]:
    """Returns the content of ``check_data.json``: every fault, every count."""
    faults = sum(len(check.wrong) for check in checks)
    return {
        'format': FORMAT,
        'name': name,
        'faults': faults,
        'warnings': _warnings(checks),
        'datasets': [_part(check) for check in checks],
    }


def _part(check: PartCheck) -> dict[str, Any]:
    dataset = check.part.dataset
    names = list(dataset.metainfo.get('classes') or [])
    pixels = check.total('classes')
    images: Counter = Counter(index for sample in check.samples for index in sample.classes)
    sizes = Counter(f'{s.size[1]}x{s.size[0]}' for s in check.samples if s.size is not None)
    return {
        'name': check.part.name,
        'type': type(dataset).__name__,
        'uses': check.part.uses,
        'from': getattr(dataset, 'hint', ''),
        'expects': check.tree,
        'images': check.found,
        'expected_images': check.part.expected,
        'pairs': len(check.infos),
        'left_out': dict(getattr(dataset, 'left_out', {})),
        'sizes': dict(sizes.most_common()),
        'raw_ids': {str(raw): n for raw, n in sorted(check.total('raw').items())},
        'classes': {
            name: {'pixels': pixels[i], 'images': images[i]} for i, name in enumerate(names)
        },
        'ignored_pixels': pixels[_ignored(dataset)],
        'absent_classes': _absent(check),
        'faults': [_fault(fault) for fault in check.wrong],
        'allowed': [_fault(fault) for fault in check.faults if fault.allowed],
    }


def _ignored(dataset: Any) -> int:
    """Returns the ignored label of a data set; of whole images a number that none has."""
    return getattr(dataset, 'ignore_index', -1)


def _fault(fault: Fault) -> dict[str, str]:
    said = {'kind': fault.kind, 'file': fault.file, 'message': fault.message}
    return {**said, 'because': fault.allowed} if fault.allowed else said


def _absent(check: PartCheck) -> list[str]:
    """Returns the classes without a pixel in any label of a data set."""
    pixels = check.total('classes')
    names = check.part.dataset.metainfo.get('classes') or []
    return [name for i, name in enumerate(names) if not pixels[i]] if check.samples else []


def report_text(name: str, checks: Sequence[PartCheck]) -> str:
    """Returns the report as text: data sets, tables, faults by kind."""
    blocks = [_part_text(check) for check in checks]
    blocks += [_class_table(name, some) for name, some in _label_spaces(checks)]
    kinds = [kind for kind in KINDS if any(f.kind == kind for c in checks for f in c.wrong)]
    rows = [
        (
            check.part.name,
            str(check.found),
            '-' if check.part.expected is None else str(check.part.expected),
            *(str(sum(f.kind == kind for f in check.wrong)) for kind in kinds),
        )
        for check in checks
    ]
    blocks.append(table((name, 'images', 'expected', *kinds), rows))
    faults = sum(len(check.wrong) for check in checks)
    blocks += [f'warning: {warning}' for warning in _warnings(checks)]
    blocks.append('no faults' if not faults else f'{faults} faults')
    return '\n\n'.join(blocks)


def _warnings(checks: Sequence[PartCheck]) -> list[str]:
    """Returns warnings of a training run: the classes that no label of its data has."""
    training = [check for check in checks if 'train' in check.part.uses and check.samples]
    pixels = sum((check.total('classes') for check in training), Counter())
    classes = training[0].part.dataset.metainfo.get('classes') if training else None
    unseen = {name for check in training for name in check.part.unseen}
    warning = absent_classes(pixels, classes, unseen) if classes and pixels else None
    return [] if warning is None else [warning]


def _part_text(check: PartCheck) -> str:
    dataset = check.part.dataset
    lines = [f'== {check.part.name} ({", ".join(check.part.uses)}) ==']
    lines += [f'expects {line}' for line in check.tree]
    lines.append(f'get it: {getattr(dataset, "hint", "")}')
    stated = '' if check.part.expected is None else f' of {check.part.expected} expected'
    counts = describe(getattr(dataset, 'left_out', Counter()))
    lines.append(f'images: {check.found}{stated}, pairs read: {len(check.infos)}; {counts}')
    sizes = Counter(f'{s.size[1]}x{s.size[0]}' for s in check.samples if s.size is not None)
    if sizes:
        some = [f'{size} ({n})' for size, n in sizes.most_common(6)]
        more = f', {len(sizes) - 6} more' if len(sizes) > 6 else ''
        lines.append(f'sizes: {", ".join(some)}{more}')
    raw = check.total('raw')
    if raw:
        lines.append(f'raw ids, % of the pixels: {_shares(raw)}')
    absent = _absent(check)
    if absent:
        lines.append(f'classes that no label has: {", ".join(absent)}')
    for kind in KINDS:
        lines += _kind_text(kind, [fault for fault in check.faults if fault.kind == kind])
    return '\n'.join(lines)


def _kind_text(kind: str, faults: Sequence[Fault]) -> list[str]:
    lines = []
    for allowed in dict.fromkeys(fault.allowed for fault in faults):
        some = [fault for fault in faults if fault.allowed == allowed]
        lines.append(f'{kind}: {len(some)}' + (f' (allowed: {allowed})' if allowed else ''))
        # if all files share a message, naming the files says more
        alike = len({fault.message for fault in some}) == 1 and len(some) > 1
        lines += [f'  {f.file if alike or allowed else f.message}' for f in some[:_SHOWN]]
        if len(some) > _SHOWN:
            lines.append(f'  ... {len(some) - _SHOWN} more in check_data.json')
    return lines


def _shares(pixels: Counter) -> str:
    total = sum(pixels.values())
    shares = [f'{i}: {100 * n / total:.2f}' for i, n in sorted(pixels.items())[:80]]
    return ', '.join(shares) + (' ...' if len(pixels) > 80 else '')


def _label_spaces(checks: Sequence[PartCheck]) -> list[tuple[str, list[PartCheck]]]:
    """Groups data sets that share their classes, each group with a title."""
    spaces: dict[tuple, list[PartCheck]] = {}
    for check in checks:
        if check.samples:
            classes = tuple(check.part.dataset.metainfo.get('classes') or ())
            spaces.setdefault(classes, []).append(check)
    return [(f'% of the {some[0].part.dataset.task}', some) for some in spaces.values()]


def _class_table(title: str, checks: Sequence[PartCheck]) -> str:
    names = checks[0].part.dataset.metainfo.get('classes') or ()
    totals = [check.total('classes') for check in checks]
    sums = [max(sum(total.values()), 1) for total in totals]

    def row(name: str, indexes: Sequence[int]) -> tuple[str, ...]:
        return name, *(
            f'{100 * t[i] / s:.3f}' if t[i] else '-'
            for t, s, i in zip(totals, sums, indexes, strict=True)
        )

    rows = [row(name, [i] * len(checks)) for i, name in enumerate(names)]
    if checks[0].part.dataset.task == 'pixels':
        rows.append(row('ignored', [_ignored(check.part.dataset) for check in checks]))
    return table((title, *(check.part.name for check in checks)), rows)
