"""Predicts the files that a command names, and goes on where an earlier command stopped."""

from __future__ import annotations

import glob
import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log

from rein_seg.datasets.files.walk import describe
from rein_seg.errors import UserError
from rein_seg.inference.ahead import ahead
from rein_seg.inference.items import Item, ItemPredictor, Settings, open_item
from rein_seg.inference.names import output_names
from rein_seg.inference.output import OwnFiles, check_free
from rein_seg.inference.predictor import Predictor
from rein_seg.inference.record import Found, Record, check_same, is_same, read_records
from rein_seg.inference.sources import find_sources
from rein_seg.inference.video import Video
from rein_seg.progress import Meter, make_room
from rein_seg.timing import status_mib
from rein_seg.version import __version__


@dataclass
class Summary:
    """What a command did.

    Attributes:
        predicted: Number of images and frames.
        kept: Number of inputs whose outputs were there.
        skipped: Reasons, an input each.
        seconds: Of the work, without loading the model.
        peak_mib: Peak memory of the process, or of the GPU; None if it is not known.
    """

    predicted: int = 0
    kept: int = 0
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_mib: float | None = None

    def __str__(self) -> str:
        rate = self.predicted / max(self.seconds, 1e-9)
        parts = [f'{self.predicted} images in {self.seconds:.1f} s, {rate:.2f} images/s']
        if self.peak_mib is not None:
            parts.append(f'peak memory {self.peak_mib:.0f} MiB')
        if self.kept:
            parts.append(f'{self.kept} inputs were done before')
        if self.skipped:
            parts.append(f'{len(self.skipped)} skipped')
        return ', '.join(parts)


def predict_files(
    adapter: str,
    words: Sequence[str],
    out: str,
    settings: Settings,
    *,
    load: Callable[[], Predictor],
    shard: tuple[int, int] | None = None,
    overwrite: bool = False,
) -> Summary:
    """Predicts files and writes maps, overlays, scores and ``predictions.json``.

    Args:
        adapter: File of the weights.
        words: Sources, see `find_sources`.
        out: Folder of the outputs.
        settings: What is predicted and written.
        load: Loads the model; called after all that can be checked without it.
        shard: (i, n) takes the inputs i, i + n, ... of all, from 1.
        overwrite: Whether outputs of earlier commands are replaced.

    Raises:
        UserError: If there is no image, the adapter is none, or the folder holds something else.
        OSError: If an output cannot be written.
    """
    header = _header(adapter, settings)
    found = read_records(out)
    left_out: Counter[str] = Counter()
    sources = find_sources(words, is_own=OwnFiles(out), left_out=left_out)
    stale: list[Found] = []
    if overwrite:
        stale = [record for record in found if not is_same(record, header)]
        found = [record for record in found if is_same(record, header)]
    check_same(found, header, out)
    names = output_names(sources)
    check_free(out, names, sources, found, overwrite=overwrite)
    items = [Item(source, name) for source, name in zip(sources, names, strict=True)]
    if shard is not None:
        items = items[shard[0] - 1 :: shard[1]]
    predictor = load()
    header |= {'classes': list(predictor.classes), 'palette': predictor.palette.tolist()}
    record = Record(out, header, shard=shard)
    earlier = _earlier(items, found, out, overwrite=overwrite)
    own = next((old for old in found if old.path == record.path), None)
    if own is not None:
        record.done = {**own.done}
        record.begun = {k: v for k, v in own.begun.items() if k not in own.done}
    for item in items if overwrite else ():
        record.done.pop(item.name, None)
    record.done |= earlier
    record.order = [item.name for item in items]
    todo = [item for item in items if item.name not in earlier]
    print_log(f'{len(sources)} inputs; {describe(left_out)}', logger='current')
    with record:
        for old in stale:
            old.remove(unless=record.path)
        for entry in record.begun.values():
            remove_stray(out, entry)
        summary = Summary(kept=len(earlier))
        for item in items:
            if 'fault' in earlier.get(item.name, ()):
                _skip(item, earlier[item.name]['fault'], summary, record)
        _work(todo, predictor, out, settings, record, summary, renew=overwrite)
    return summary


def _header(adapter: str, settings: Settings) -> dict[str, Any]:
    digest = hashlib.sha256()
    with open(adapter, 'rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    about = {'file': os.path.basename(adapter), 'sha256': digest.hexdigest()}
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
    return {'version': __version__, 'adapter': about, 'options': options}


def _earlier(
    items: Sequence[Item], found: Sequence[Found], out: str, *, overwrite: bool
) -> dict[str, dict[str, Any]]:
    """Returns name -> entry of the inputs that are done.

    Raises:
        UserError: If an output was made from another file.
    """
    if overwrite:
        return {}
    done: dict[str, dict[str, Any]] = {}
    begun = {name: entry for record in found for name, entry in record.begun.items()}
    for record in found:
        done |= record.done
    earlier = {}
    for item in items:
        if item.name in begun:
            _check_source(item, begun[item.name], out)
        if item.name in done and _is_whole(done[item.name], out):
            earlier[item.name] = done[item.name]
    return earlier


def _check_source(item: Item, entry: Mapping[str, Any], out: str) -> None:
    path = os.path.abspath(item.source.path)
    try:
        size, changed = item.source.stamp
    except OSError:
        return  # the reader says so
    before = (entry.get('source'), entry.get('bytes'), entry.get('changed_ns'))
    if before != (path, size, changed):
        what = 'has changed since' if before[0] == path else f'is not {before[0]!r}'
        raise UserError(
            f'{os.path.join(out, entry["output"])!r} was predicted from another file: '
            f'{item.source.path!r} {what}; give another --out, or --overwrite'
        )


def _is_whole(entry: Mapping[str, Any], out: str) -> bool:
    """Tells whether all files of an input are there."""
    places = [entry[key] for key in ('output', 'overlay', 'scores') if key in entry]
    if 'frames' not in entry:
        return all(os.path.isfile(os.path.join(out, place)) for place in places)
    folders = [place for place in places if not place.endswith('.mp4')]
    numbers = [sum(1 for _ in Path(out, place).glob('[0-9]*.[pn][np][gy]')) for place in folders]
    whole = all(number >= entry['frames'] for number in numbers)
    return whole and all(os.path.isfile(os.path.join(out, p)) for p in places if p not in folders)


def remove_stray(out: str, entry: Mapping[str, Any]) -> None:
    """Removes temporary files that a killed command left for one input."""
    name = entry['name']
    places = [entry['output'], f'overlays/{name}.jpg', f'overlays/{name}.mp4', f'scores/{name}.npy']
    for path in (Path(out, place) for place in places):
        if path.parent.is_dir():
            for file in path.parent.glob(f'.{glob.escape(path.name)}.????????.tmp*'):
                file.unlink()
    if entry['output'] == name:  # a video
        for folder in (Path(out, name), Path(out, 'scores', name)):
            for file in folder.glob('.*.????????.tmp'):
                file.unlink()


def _work(
    items: Sequence[Item],
    predictor: Predictor,
    out: str,
    settings: Settings,
    record: Record,
    summary: Summary,
    *,
    renew: bool,
) -> None:
    start = time.perf_counter()
    with Meter(sum(map(_length(settings), items)), what='predict', silent_end=True) as meter:
        worker = ItemPredictor(
            predictor, out, settings, record, lambda n, note: meter.advance(n, note=note)
        )
        for item, content, stamp in ahead(open_item(item, settings) for item in items):
            try:
                number, fault = worker.predict(item, content, stamp, renew=renew)
                summary.predicted += number
            except UserError as error:
                fault = str(error)
            if fault:
                make_room()
                _skip(item, fault, summary, record)
    summary.seconds = time.perf_counter() - start
    summary.peak_mib = _peak_mib(predictor.device)


def _skip(item: Item, reason: str, summary: Summary, record: Record) -> None:
    print_log(f'skipped: {reason}', logger='current')
    record.skip(item.source.path, reason)
    summary.skipped.append(reason)


def _length(settings: Settings) -> Callable[[Item], int]:
    """Returns a function that estimates the number of images or frames of an input."""

    def length(item: Item) -> int:
        if not item.source.is_video:
            return 1
        try:
            return max(-(-Video(item.source.path).count // settings.every), 1)
        except UserError:
            return 1

    return length


def _peak_mib(device: torch.device) -> float | None:
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        return status_mib('VmHWM')
    except OSError:
        return None
