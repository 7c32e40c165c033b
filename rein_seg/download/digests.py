"""Digests that a server, an address or the name of a file states, and their check."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

# PyTorch's convention: resnet50-0676ba61.pth begins the SHA-256 of the file; eight digits without a
# letter may be a date or a number of steps
_IN_NAME = re.compile(r'-(?!\d{8}\.)([0-9a-f]{8,64})\.\w+(?:\.\w+)?$')
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Digest:
    """A digest, or its beginning, in hexadecimal digits.

    Attributes:
        kind: sha256, md5, or git (SHA-1 of a file as git stores it).
        value: The digits.
        said_by: Who states it, for messages.
    """

    kind: str
    value: str
    said_by: str

    def __str__(self) -> str:
        return f'{_NAMES[self.kind]} {self.value[:16]}{"..." if len(self.value) > 16 else ""}'


_NAMES = {'sha256': 'SHA-256', 'md5': 'MD5', 'git': "git's SHA-1"}


def stated_digests(
    url: str, name: str, answers: Iterable[Mapping[str, str]], *, hub: bool = False
) -> list[Digest]:
    """Returns all digests that are stated for a file.

    Args:
        url: Its address. A folder of 64 hexadecimal digits above the file is its SHA-256 (OpenAI).
        name: Its name; see PyTorch's convention.
        answers: Headers of the server's answers, redirects included.
        hub: Whether it is of the Hugging Face hub, whose ETag is a digest. The server of large
            files, which the hub redirects to, has ETags that are none.

    Example:
        >>> from rein_seg.download.digests import stated_digests
        >>> [str(digest) for digest in stated_digests('', 'resnet50-0676ba61.pth', [])]
        ['SHA-256 0676ba61']
        >>> stated_digests('', 'sam_vit_h_4b8939.pth', []), stated_digests('', 'b-20240131.pth', [])
        ([], [])
    """
    found = []
    named = _IN_NAME.search(name)
    if named:
        found.append(Digest('sha256', named[1], "the file's name"))
    above = urlsplit(url).path.split('/')[-2:-1]
    if above and re.fullmatch(r'[0-9a-f]{64}', above[0]):
        found.append(Digest('sha256', above[0], 'its address'))
    for headers in answers:
        found += _in_headers(headers)
        if hub:
            found += _of_hub(headers)
    return list(dict.fromkeys(found))


def _of_hub(headers: Mapping[str, str]) -> list[Digest]:
    linked = headers.get('X-Linked-Etag')
    tag = (linked or headers.get('ETag') or '').removeprefix('W/').strip('"')
    kinds = {64: 'sha256', 40: 'git'} if linked else {40: 'git'}
    digest = _digest(kinds[len(tag)], tag) if len(tag) in kinds else None
    return [digest] if digest else []


def _in_headers(headers: Mapping[str, str]) -> list[Digest]:
    """Returns the digests in the headers of one answer."""
    said = []
    for key, value in headers.items():
        key = key.lower()
        if key in ('content-md5', 'x-ms-blob-content-md5'):
            said.append(_digest('md5', value))
        elif key == 'x-goog-hash':
            said += [_digest('md5', part.strip()[4:]) for part in _listed(value, 'md5=')]
        elif key in ('repr-digest', 'digest'):
            said += [_digest('sha256', part.strip()[8:]) for part in _listed(value, 'sha-256=')]
        elif key == 'x-amz-checksum-sha256':
            said.append(_digest('sha256', value))
        elif key.startswith('x-amz-meta-') and ('md5' in key or 'sha256' in key):
            said.append(_digest('md5' if 'md5' in key else 'sha256', value))
    return [digest for digest in said if digest is not None]


def _listed(value: str, begin: str) -> list[str]:
    return [part for part in value.split(',') if part.strip().lower().startswith(begin)]


def _digest(kind: str, text: str) -> Digest | None:
    """Returns a digest given in hexadecimal digits or base64; None if it is no digest."""
    text = text.strip().strip(':"')
    length = {'md5': 32, 'sha256': 64, 'git': 40}[kind]
    if not re.fullmatch(rf'[0-9a-fA-F]{{{length}}}', text):
        try:
            text = base64.b64decode(text, validate=True).hex()
        except (binascii.Error, ValueError):
            return None
    return Digest(kind, text.lower(), 'the server') if len(text) == length else None


def wrong_digest(path: Path, stated: Iterable[Digest]) -> str | None:
    """Returns words on the first stated digest that a file does not have, else None.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.download.digests import Digest, wrong_digest
        >>> _ = Path('a').write_bytes(b'a')
        >>> wrong_digest(Path('a'), [Digest('sha256', 'ca978112', 'its name')])
        >>> wrong_digest(Path('a'), [Digest('md5', '0' * 32, 'the server')])
        'it has MD5 0cc175b9c0f1b6a8..., expected 0000000000000000..., as the server states'
    """
    stated = list(stated)
    hashes = {}
    for kind in {digest.kind for digest in stated}:
        hashes[kind] = hashlib.new({'git': 'sha1'}.get(kind, kind), usedforsecurity=False)
    if 'git' in hashes:
        hashes['git'].update(b'blob %d\0' % path.stat().st_size)
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            for one in hashes.values():
                one.update(chunk)
    for digest in stated:
        value = hashes[digest.kind].hexdigest()
        if not value.startswith(digest.value):
            expected = str(digest).rpartition(' ')[2]
            came = Digest(digest.kind, value, '')
            return f'it has {came}, expected {expected}, as {digest.said_by} states'
    return None
