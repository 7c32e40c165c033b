"""``predictions.json``: what was predicted, with what, and from which files.

While a command works, a journal beside it takes a line before and a line after the outputs of an
input are written. A killed command loses nothing: the next one reads both.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rein_seg.checkpoint import write_json
from rein_seg.checkpoint.safetensors_file import parse_json
from rein_seg.checkpoint.write import naming
from rein_seg.errors import UserError

FORMAT = 'rein_seg-predictions/1'
_PLACES = ('overlay', 'scores')
_JOURNAL = '.journal'
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


@dataclass
class Found:
    """An earlier record.

    Attributes:
        path: Of the json file.
        header: Everything but the inputs.
        done: Name -> entry of the inputs whose outputs are whole.
        begun: Name -> entry of the inputs of which some output may exist.
    """

    path: Path
    header: dict[str, Any]
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    begun: dict[str, dict[str, Any]] = field(default_factory=dict)

    def remove(self, *, unless: Path) -> None:
        """Removes the record's files, unless ``unless`` is the record."""
        if self.path != unless:
            self.path.unlink(missing_ok=True)
            self.path.with_suffix(_JOURNAL).unlink(missing_ok=True)


def read_records(folder: str | os.PathLike) -> list[Found]:
    """Returns the records of a folder, with their journals; none if it does not exist.

    Raises:
        OSError: If a record cannot be read.
        UserError: If a file is no record.
    """
    return [_read(path) for path in sorted(Path(folder).glob('predictions*.json'))]


def _read(path: Path) -> Found:
    try:
        content = parse_json(path.read_text(encoding='utf-8'))
        if content['format'] != FORMAT:
            raise ValueError(f'format {content["format"]!r}')
        images = {entry['name']: entry for entry in map(_checked, content.pop('images'))}
        begun = {entry['name']: entry for entry in map(_checked, content.pop('unfinished'))}
        _check_header(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f'{str(path)!r} is no record of rein-seg predict ({type(error).__name__}: {error}): '
            f'expected format {FORMAT!r}; give another --out, or remove the file'
        ) from error
    found = Found(path, content, images, {**images, **begun})
    for line in _lines(path.with_suffix(_JOURNAL)):
        found.begun[line['name']] = line
        if line.get('done'):
            found.done[line['name']] = {k: v for k, v in line.items() if k != 'done'}
        else:
            found.done.pop(line['name'], None)
    return found


def _check_header(content: dict[str, Any]) -> None:
    adapter = content['adapter']
    if not isinstance(adapter['file'], str) or not isinstance(adapter['sha256'], str):
        raise TypeError(f'adapter {adapter!r}')
    if not isinstance(content['options'], dict):
        raise TypeError(f'options {content["options"]!r}')


def _checked(entry: Any) -> dict[str, Any]:
    """Returns an entry whose places lie in the folder: they are looked for, and replaced.

    Raises:
        ValueError: If they do not.
        KeyError: If a place is missing.
    """
    places = [entry['name'], entry['output'], *(entry.get(key, '') for key in _PLACES)]
    for place in places:
        if not isinstance(place, str) or place.startswith('/') or '..' in place.split('/'):
            raise ValueError(f'place {place!r}')
    if not isinstance(entry.get('frames', 0), int):
        raise TypeError(f'frames {entry["frames"]!r}')
    return entry


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the whole lines of a journal."""
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines(keepends=True):
            # the last line of a killed process
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                yield _checked(parse_json(line.decode()))


def is_same(record: Found, header: Mapping[str, Any]) -> bool:
    """Tells whether a record is of the same adapter and options."""
    return record.header['adapter']['sha256'] == header['adapter']['sha256'] and _chosen(
        record.header
    ) == _chosen(header)


def _chosen(header: Mapping[str, Any]) -> dict[str, Any]:
    # records of earlier versions lack options that came later
    return {key: value for key, value in header['options'].items() if value is not None}


def check_same(found: Iterable[Found], header: Mapping[str, Any], folder: str) -> None:
    """Checks that earlier predictions of a folder were made with the same adapter and options.

    Raises:
        UserError: If not; it names the first difference.
    """
    way_out = 'expected the same, to go on; give another --out, or --overwrite to begin anew'
    for record in found:
        before, now = record.header['adapter'], header['adapter']
        if before['sha256'] != now['sha256']:
            raise UserError(
                f'{folder!r} holds predictions of another adapter, {before["file"]!r} (SHA-256 '
                f'{before["sha256"][:12]}...), this is {now["file"]!r} ({now["sha256"][:12]}...): '
                f'{way_out}'
            )
        old, new = record.header['options'], header['options']
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                raise UserError(
                    f'{folder!r} holds predictions with {key}={_shown(old.get(key))}, this command '
                    f'has {key}={_shown(new.get(key))}: {way_out}'
                )


def _shown(value: Any) -> str:
    return json.dumps(value) if value is not None else 'default'


def record_path(folder: str | os.PathLike, shard: tuple[int, int] | None) -> Path:
    """Returns the file of a command, or of a shard of it."""
    part = '' if shard is None else f'.{shard[0]}-of-{shard[1]}'
    return Path(folder) / f'predictions{part}.json'


def check_unused(path: Path) -> None:
    """Checks that no other process writes a record.

    Raises:
        UserError: If one does: files that it writes would look like files of others.
    """
    journal = path.with_suffix(_JOURNAL)
    absent = contextlib.suppress(FileNotFoundError, NotADirectoryError)
    with absent, journal.open('r+b') as file:
        _lock(file, journal)


class Record:
    """Writes ``predictions.json``, or the file of a shard, while predictions are made.

    Args:
        folder: Of the outputs.
        header: ``adapter``, ``options``, ``classes`` and so on: JSON.
        shard: (index from 1, number) of this process; None predicts all.

    Attributes:
        done: Name -> entry of finished inputs; set to the entries of earlier commands to keep.
        begun: Name -> entry of inputs whose outputs may be there in part.
        order: Names, in the order of the file.

    Example:
        >>> from rein_seg.inference.record import Record, read_records
        >>> header = dict(adapter=dict(file='a', sha256='0'), options={})
        >>> entry = dict(name='a', output='a.png', source='a.jpg')
        >>> with Record('out', header) as record:
        ...     record.begin(entry)
        ...     record.finish({**entry, 'size': [4, 6]})
        >>> read_records('out')[0].done['a']['size']
        [4, 6]
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        header: Mapping[str, Any],
        *,
        shard: tuple[int, int] | None = None,
    ) -> None:
        self.path = record_path(folder, shard)
        self.header = {'format': FORMAT, **header}
        self.done: dict[str, dict[str, Any]] = {}
        self.begun: dict[str, dict[str, Any]] = {}
        self.skipped: list[dict[str, str]] = []
        self.order: Sequence[str] = ()
        self._journal: IO[bytes] | None = None

    def take_over(
        self,
        found: Iterable[Found],
        names: Sequence[str],
        finished: Mapping[str, dict[str, Any]],
        *,
        renew: bool = False,
    ) -> None:
        """Takes over entries of earlier commands, so that their files stay known as outputs.

        Args:
            found: Earlier records, also of other options if they are replaced.
            names: Of the inputs of this command, in the order of the file.
            finished: Entries of those that are done.
            renew: Whether all inputs are predicted anew: entries of old files name no source.
        """
        these = set(names)
        for old in found:
            same = old.path == self.path and is_same(old, self.header)
            if same:
                self.done |= {name: e for name, e in old.done.items() if name not in these}
            for name, entry in old.begun.items():
                if same and not (renew and name in these):
                    self.begun[name] = entry
                elif renew:
                    keys = ('name', 'output', *_PLACES)
                    self.begun[name] = {key: entry[key] for key in keys if key in entry}
        self.done |= finished
        self.begun = {name: e for name, e in self.begun.items() if name not in self.done}
        self.order = names

    def __enter__(self) -> Record:
        path = self.path.with_suffix(_JOURNAL)
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._journal = _locked(path)
            self._write(complete=False)
            self._journal.truncate(0)
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        assert self._journal is not None
        try:
            self._write(complete=kind is None)
            # before the lock ends: after it, the journal may be another process's
            self.path.with_suffix(_JOURNAL).unlink(missing_ok=True)
        except OSError:
            if kind is None:  # the first error says more; the journal stays
                raise
        finally:
            self._journal.close()

    def begin(self, entry: dict[str, Any]) -> None:
        """Notes that outputs of an input are about to be written."""
        self._note(entry)
        self.done.pop(entry['name'], None)
        self.begun[entry['name']] = entry

    def finish(self, entry: dict[str, Any]) -> None:
        """Notes that the outputs of an input are whole."""
        self._note({**entry, 'done': True})
        self.done[entry['name']] = entry
        self.begun.pop(entry['name'], None)

    def skip(self, source: str, reason: str) -> None:
        """Notes an input, or a part of it, that was left out."""
        self.skipped.append({'source': source, 'reason': reason})

    def _note(self, line: Mapping[str, Any]) -> None:
        assert self._journal is not None
        with naming(self.path):
            self._journal.write(f'{json.dumps(line)}\n'.encode())

    def _write(self, *, complete: bool) -> None:
        first = {name: self.done[name] for name in self.order if name in self.done}
        images = [*first.values(), *(e for name, e in self.done.items() if name not in first)]
        content = {
            **self.header,
            'complete': complete,
            'skipped': self.skipped,
            'unfinished': list(self.begun.values()),
            'images': images,
        }
        write_json(self.path, content)


def _locked(path: Path) -> IO[bytes]:
    """Opens a journal for this process alone."""
    while True:
        file = path.open('ab', buffering=0)
        try:
            if not _lock(file, path):
                return file
        except BaseException:
            file.close()
            raise
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # another process ended, and removed it


def _lock(file: IO[bytes], path: Path) -> bool:
    """Locks a journal for this process; False where the file system has no locks.

    Raises:
        UserError: If another process has it.
    """
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        raise UserError(
            f'{str(path.parent)!r} is in use by another process that writes '
            f'{path.with_suffix(".json").name}: expected one process for each shard; wait for '
            'its end, or give each its --shard I/N'
        ) from None
    return True
