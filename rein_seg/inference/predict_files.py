"""Predicts the files that a command names, and goes on where an earlier command stopped."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2
import torch
from mmengine.logging import print_log

from rein_seg.config.load import load_config
from rein_seg.datasets.files.walk import describe
from rein_seg.errors import NotFinite, UserError
from rein_seg.inference.advice import for_command
from rein_seg.inference.ahead import ahead
from rein_seg.inference.items import Item, ItemPredictor, Settings, open_item
from rein_seg.inference.names import output_names
from rein_seg.inference.output import OwnFiles, check_free
from rein_seg.inference.predictor import Predictor
from rein_seg.inference.record import (
    Record,
    check_same,
    check_unused,
    is_same,
    read_records,
    record_path,
)
from rein_seg.inference.resume import finished, remove_stray
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
    config: str | None = None,
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
        config: Config that ``load`` takes in place of the file's own.
        shard: (i, n) takes the inputs i, i + n, ... of all, from 1.
        overwrite: Whether outputs of earlier commands are replaced.

    Raises:
        UserError: If there is no image, the adapter is none, or the folder holds something else.
        OSError: If an output cannot be written.
    """
    header = _header(adapter, settings, config)
    check_unused(record_path(out, shard))
    found = read_records(out)
    left_out: Counter[str] = Counter()
    sources = find_sources(words, is_own=OwnFiles(out), left_out=left_out)
    stale = [old for old in found if overwrite and not is_same(old, header)]
    check_same([old for old in found if old not in stale], header, out)
    names = output_names(sources)
    items = [Item(source, name) for source, name in zip(sources, names, strict=True)]
    if shard is not None:  # other shards may be writing their files
        items = items[shard[0] - 1 :: shard[1]]
    outputs = {item.name: item.source for item in items}
    check_free(out, outputs, sources, found, overwrite=overwrite)
    earlier = {} if overwrite else finished(items, found, out)
    predictor = load()
    header |= {'classes': list(predictor.classes), 'palette': predictor.palette.tolist()}
    record = Record(out, header, shard=shard)
    record.take_over(found, [item.name for item in items], earlier, renew=overwrite)
    print_log(f'{len(sources)} inputs; {describe(left_out)}', logger='current')
    with record:
        for old in stale:
            old.remove(unless=record.path)
        remove_stray(out, found, record.path)
        return _work(items, earlier, predictor, out, settings, record, renew=overwrite)


def _header(adapter: str, settings: Settings, config: str | None) -> dict[str, Any]:
    digest = hashlib.sha256()
    with open(adapter, 'rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    about = {'file': os.path.basename(adapter), 'sha256': digest.hexdigest()}
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
    # the model may be another with each config
    options['config'] = None
    if config is not None:
        text = json.dumps(load_config(config).to_dict(), sort_keys=True, default=str)
        options['config'] = hashlib.sha256(text.encode()).hexdigest()
    return {'version': __version__, 'adapter': about, 'options': options}


def _work(
    items: Sequence[Item],
    earlier: Mapping[str, Mapping[str, Any]],
    predictor: Predictor,
    out: str,
    settings: Settings,
    record: Record,
    *,
    renew: bool,
) -> Summary:
    summary, start = Summary(kept=len(earlier)), time.perf_counter()
    for item in items:
        if 'fault' in earlier.get(item.name, ()):
            _skip(item, earlier[item.name]['fault'], summary, record)
    bands = getattr(predictor, 'bands', None)  # of a model of whole images there are none
    todo = [item for item in items if item.name not in earlier]
    with Meter(sum(map(_length(settings), todo)), what='predict', silent_end=True) as meter:
        worker = ItemPredictor(
            predictor, out, settings, record, lambda n, note: meter.advance(n, note=note)
        )
        for item, content, stamp in ahead(open_item(item, settings, bands) for item in todo):
            try:
                begun = record.begun.get(item.name)
                old = renew or (begun is not None and 'source' not in begun)
                number, fault = worker.predict(item, content, stamp, renew=old)
                summary.predicted += number
            except UserError as error:
                fault = for_command(str(error))
            except (NotFinite, cv2.error) as error:
                fault = f'{item.source.path!r} cannot be predicted: {" ".join(str(error).split())}'
            if fault:
                make_room()
                _skip(item, fault, summary, record)
    summary.seconds = time.perf_counter() - start
    summary.peak_mib = _peak_mib(predictor.device)
    return summary


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
