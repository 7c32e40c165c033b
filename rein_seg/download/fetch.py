"""Downloads one file: continued after a cut, checked, and there whole or not at all."""

from __future__ import annotations

import errno
import http.client
import math
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mmengine.logging import print_log

from rein_seg.checkpoint.write import naming
from rein_seg.download.cache import folder_for, locked, offline
from rein_seg.download.digests import stated_digests, wrong_digest
from rein_seg.download.web import Broken, Denied, NotThere, ask, check_address
from rein_seg.errors import UserError
from rein_seg.progress import Meter

HUB_CODES = ('RepoNotFound', 'RevisionNotFound')  # the hub answers 404 for them, too
TRIES = 5  # requests in turn without a new byte
_MB = 1_000_000
_LONGEST_WAIT = 60.0  # seconds between two requests
_HTML = re.compile(rb'\s*<(!doctype html|html|head)', re.IGNORECASE)


def fetch(
    url: str,
    *,
    folder: str | os.PathLike | None = None,
    name: str | None = None,
    advice: str | None = None,
    token: str | None = None,
    hub: bool = False,
    first_wait: float = 1.0,
    timeout: float = 30.0,
) -> Path:
    """Returns the path of a file, which it downloads where it is not there yet.

    Continues where an earlier download was cut, tries again after errors of the server, checks the
    length and every digest that the server, the address or the name states, and renames the file
    when it is whole. Several processes download it once.

    Args:
        url: http or https.
        folder: For the file; None takes `folder_for`.
        name: Of the file; None takes the last part of ``url``.
        advice: What a user without a network can do; None names the file's place.
        token: Of the user, for the server of ``url``.
        hub: Whether ``url`` is of a Hugging Face hub, whose ETag is a digest.
        first_wait: Seconds before the second try; each further try waits twice as long.
        timeout: Seconds that a server may send nothing.

    Raises:
        UserError: If the file cannot be had. `NotThere`, if the server has no such file.
        Denied: If the server refuses the request.
        OSError: If it cannot be written.
    """
    url = check_address(url)
    name = _check_name(unquote(urlsplit(url).path).rpartition('/')[2] if name is None else name)
    target = Path(folder_for(url) if folder is None else folder, name)
    if target.is_file():
        return target
    what = f'file {name!r} cannot be downloaded from {url}'
    advice = advice or f'download it where there is a network, and put it at {str(target)!r}'
    forbidden = offline()
    if forbidden:
        raise UserError(f'{what}: {forbidden} forbids the network; {advice}')
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target):
            if not target.is_file():  # another process may have made it meanwhile
                _Download(url, target, what, advice, token, hub, timeout).run(first_wait)
    return target


def _check_name(name: str) -> str:
    if not re.fullmatch(r'[\w.+=@ -]{1,200}', name) or name.startswith('.'):
        raise UserError(
            f'name {name[:100]!r} of a file to download: expected letters, digits and ._+=@-, such '
            'as weights.pth; give an address that ends in a name'
        )
    return name


@dataclass
class _Download:
    """A download into ``target``; a part of the file is beside it under another name."""

    url: str
    target: Path
    what: str
    advice: str
    token: str | None
    hub: bool
    timeout: float

    def __post_init__(self) -> None:
        self.part = self.target.with_name(f'.{self.target.name}.part')
        self.tag = self.target.with_name(f'.{self.target.name}.part.etag')
        self.digests: list[Any] = []

    def run(self, first_wait: float) -> None:
        """Downloads, checks and renames the file."""
        fresh = False
        while not fresh:
            fresh = not self.part.exists()
            self._repeat(first_wait)
            fault = wrong_digest(self.part, self.digests)
            if fault is None:
                self._keep()
                return
            self._forget()  # a part of an earlier download may have been of another file
        raise UserError(
            f'{self.what}: {fault}; it was changed on the way or on the server, so it was removed; '
            f'try again later, or {self.advice}'
        )

    def _repeat(self, first_wait: float) -> None:
        """Sends requests until the part is whole."""
        tries, wait, came, most = 0, first_wait, False, _size(self.part)
        while True:
            try:
                return self._request()
            except Broken as error:
                broken = error
            except Denied as error:
                self._explain(error)
            if _size(self.part) > most:  # a server that begins anew each time makes no progress
                most = _size(self.part)
                tries, wait, came = 0, first_wait, True
            tries += 1
            if tries >= TRIES or (broken.no_network and not came):
                kept = ' what came so far is kept, and the next try continues it;'
                raise UserError(
                    f'{self.what}: {broken};{kept if _size(self.part) else ""} {self.advice}'
                ) from broken
            print_log(f'{self.url}: {broken}; tries again', logger='current')
            time.sleep(min(max(wait, broken.wait), _LONGEST_WAIT))
            wait *= 2

    def _explain(self, error: Denied) -> None:
        code = error.headers.get('X-Error-Code')
        if self.hub and (error.status in (401, 403) or code in HUB_CODES):
            raise error
        if error.status in (404, 410):
            raise NotThere(
                f'{self.what}: {error}, expected the file; check the address, or {self.advice}'
            ) from error
        raise UserError(f'{self.what}: {error}; {self.advice}') from error

    def _request(self) -> None:
        """Sends one request, and appends what comes to the part."""
        have, tag = _size(self.part), _read(self.tag)
        if have and not tag:
            have = 0
        headers = {'Range': f'bytes={have}-', 'If-Range': tag} if have else {}
        try:
            with ask(self.url, headers, self.timeout, self.token) as (answer, seen):
                given = answer.headers.get('ETag') or ''
                goes_on = answer.status == 206
                begin = _begin(answer.headers.get('Content-Range')) if goes_on else 0
                if goes_on and (begin != have or (given and given != tag)):
                    self._forget()
                    raise Broken('the file has changed on the server')
                self._check_content(answer.headers)
                length = answer.headers.get('Content-Length')
                total = begin + int(length) if length and length.isdecimal() else None
                self._start(begin, total, given)
                self.digests = stated_digests(self.url, self.target.name, seen, hub=self.hub)
                self._copy(answer, begin, total)
        except Denied as error:
            if error.status != 416 or not have:
                raise
            self._forget()  # the part is no beginning of the file
            raise Broken('the file has changed on the server') from error

    def _check_content(self, headers: Mapping[str, str]) -> None:
        kind = str(headers.get('Content-Type', '')).lower()
        coding = str(headers.get('Content-Encoding') or 'identity').lower()
        if kind.startswith('text/html'):
            self._refuse('the server sends a web page, perhaps to log in, expected the file')
        if coding != 'identity':
            self._refuse(f'the server sends it compressed ({coding}), which was not asked for')

    def _refuse(self, reason: str) -> None:
        self._forget()
        raise UserError(f'{self.what}: {reason}; {self.advice}')

    def _start(self, begin: int, total: int | None, tag: str) -> None:
        free = shutil.disk_usage(self.target.parent).free
        if total is not None and total - begin > free:
            self._forget()
            reason = f'{os.strerror(errno.ENOSPC)} ({(total - begin) / 1e6:.0f} MB are needed)'
            raise OSError(errno.ENOSPC, reason, str(self.target))
        if begin == 0:
            self.part.unlink(missing_ok=True)
            # a weak tag does not say that the bytes are the same
            self.tag.write_text('' if tag.startswith('W/') else tag)
        size = 'of unknown size' if total is None else f'{total / 1e6:.1f} MB'
        done = f', from {begin / 1e6:.1f} MB on' if begin else ''
        print_log(f'downloads {self.url} ({size}{done}) to {self.target}', logger='current')

    def _copy(self, answer: http.client.HTTPResponse, begin: int, total: int | None) -> None:
        done = begin
        whole = None if total is None else math.ceil(total / _MB)
        meter = Meter(whole, what=self.target.name, unit='MB', done=begin // _MB)
        with self.part.open('ab') as file, meter:
            while True:
                try:
                    chunk = answer.read(_MB)
                except http.client.IncompleteRead as error:
                    chunk, total = error.partial, total or -1
                except (OSError, http.client.HTTPException) as error:
                    raise Broken(str(error) or type(error).__name__) from error
                if not chunk:
                    break
                if done == 0 and _HTML.match(chunk):
                    self._refuse('the server sends a web page, perhaps to log in')
                self._write(file, chunk)
                done += len(chunk)
                meter.advance(done // _MB - meter.done)
        if total is not None and done != total:
            of = f' of {total}' if total > 0 else ''
            raise Broken(f'the connection ended after {done}{of} bytes')

    def _write(self, file: Any, chunk: bytes) -> None:
        try:
            file.write(chunk)
            file.flush()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):  # gives the room back
                self._forget()
            raise OSError(error.errno, error.strerror, str(self.target)) from error

    def _keep(self) -> None:
        with self.part.open('rb') as file:
            os.fsync(file.fileno())
        os.replace(self.part, self.target)
        self.tag.unlink(missing_ok=True)
        said = [f'{digest}, as {digest.said_by} states' for digest in self.digests]
        checked = '; '.join(said) or 'no digest was stated, so only its length was checked'
        print_log(f'{self.target}: {_size(self.target)} bytes; {checked}', logger='current')

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ''


def _begin(content_range: str | None) -> int:
    found = re.match(r'bytes (\d+)-', content_range or '')
    return int(found[1]) if found else -1
