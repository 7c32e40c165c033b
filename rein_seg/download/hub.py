"""Files of the Hugging Face hub, by id."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rein_seg.download.cache import folder_for
from rein_seg.download.fetch import HUB_CODES, fetch
from rein_seg.download.web import Denied, NotThere
from rein_seg.errors import UserError

PREFIX = 'hf:'
_PART = r'[A-Za-z0-9][\w.-]{0,95}'
_ID = re.compile(
    rf'hf:(?://)?(?P<repo>{_PART}/{_PART})(?:@(?P<revision>{_PART}))?(?:/(?P<file>.+))?'
)
_PAGE = re.compile(
    rf'(?P<repo>{_PART}/{_PART})/(?:blob|resolve)/(?P<revision>{_PART})/(?P<file>.+)'
)


@dataclass(frozen=True)
class HubId:
    """A repository of the hub, or a file in it.

    Attributes:
        repo: Such as ``facebook/dinov2-base``.
        file: Path of a file in it, or None.
        revision: Branch, tag or commit.
    """

    repo: str
    file: str | None = None
    revision: str = 'main'

    @property
    def url(self) -> str:
        """Address of the file."""
        return f'{endpoint()}/{self.repo}/resolve/{self.revision}/{self.file}'

    def __str__(self) -> str:
        revision = '' if self.revision == 'main' else f'@{self.revision}'
        return f'{PREFIX}{self.repo}{revision}' + (f'/{self.file}' if self.file else '')


def endpoint() -> str:
    """Returns the address of the hub; ``HF_ENDPOINT`` names a mirror."""
    return (os.environ.get('HF_ENDPOINT') or 'https://huggingface.co').rstrip('/')


def parse_hub_id(text: str) -> HubId | None:
    """Returns the hub id in a text, such as ``hf:ORG/REPO@REVISION/FILE``.

    Args:
        text: Revision and file can be left out. The address of a file's page on the hub is an id.

    Returns:
        None if the text is no id.

    Raises:
        UserError: If it begins with ``hf:``, but is no such id.

    Example:
        >>> from rein_seg.download import parse_hub_id
        >>> parse_hub_id('hf:facebook/dinov2-base')
        HubId(repo='facebook/dinov2-base', file=None, revision='main')
        >>> str(parse_hub_id('hf://org/vit@v2/weights/a.safetensors'))
        'hf:org/vit@v2/weights/a.safetensors'
    """
    begin = f'{endpoint()}/'
    is_id = text.startswith(PREFIX)
    page = text.removeprefix(begin).partition('?')[0] if text.startswith(begin) else ''
    found = (_ID if is_id else _PAGE).fullmatch(text if is_id else page)
    parts = (found['file'] or 'x').split('/') if found else ['..']
    whole = all(re.fullmatch(r'[\w.+=@ -]+', part) and part.strip('. ') for part in parts)
    if found and whole and '..' not in found['repo']:
        return HubId(found['repo'], found['file'], found['revision'] or 'main')
    if is_id:
        raise UserError(
            f'{text[:200]!r}: expected hf:ORG/REPO, hf:ORG/REPO/FILE or hf:ORG/REPO@REVISION/FILE, '
            'such as hf:facebook/dinov2-base; see docs/reference/weights.md'
        )
    return None


def fetch_hub(
    hub_id: HubId, *, advice: str | None = None, first_wait: float = 1.0, own_cache: bool = True
) -> Path:
    """Returns the path of a file of the hub: in the hub's own cache, or downloaded to ours.

    Args:
        hub_id: With a file.
        advice: See `fetch`.
        first_wait: See `fetch`.
        own_cache: Whether to look into the hub's own cache.

    Raises:
        UserError: If it cannot be had; for a gated model it says how to get access.
    """
    own = _in_own_cache(hub_id) if own_cache else None
    if own is not None:
        return own
    options = dict(advice=advice, token=_token(), hub=True, first_wait=first_wait)
    try:
        return fetch(hub_id.url, **options)
    except Denied as error:
        page = f'{endpoint()}/{hub_id.repo}'
        code, told = error.headers.get('X-Error-Code'), error.headers.get('X-Error-Message') or ''
        if code in HUB_CODES:
            what = 'repository, or it is private' if code == 'RepoNotFound' else 'revision of it'
            raise UserError(
                f'{hub_id}: the hub has no such {what} ({error}); check the name at {page}, or log '
                'in: hf auth login, or set HF_TOKEN to a token of yours'
            ) from error
        gated = ' is gated' if code == 'GatedRepo' or 'gated' in told.lower() else ' needs access'
        raise UserError(
            f'{hub_id}{gated} ({error}): accept the terms at {page}, then run: hf auth login, or '
            'set HF_TOKEN to a token of yours; or give a file that you have, as checkpoint=FILE'
        ) from error


def is_address(text: str) -> bool:
    """Tells whether a text names a file elsewhere: an address of the web, or a hub id.

    Example:
        >>> from rein_seg.download import is_address
        >>> is_address('hf:org/vit'), is_address('checkpoints/vit.pth')
        (True, False)
    """
    return text.startswith((PREFIX, 'http://', 'https://'))


def fetch_address(
    address: str, names: Sequence[str], *, advice: str | None = None, first_wait: float = 1.0
) -> Path:
    """Returns the path of the file that an address of the web, or a hub id, names.

    Args:
        address: See `is_address`; a page of the hub serves as its file.
        names: See `hub_files`, for an id of a repository.
        advice: See `fetch`.
        first_wait: See `fetch`.

    Raises:
        UserError: If it cannot be had.
        OSError: If it cannot be written.
    """
    hub_id, options = parse_hub_id(address), dict(advice=advice, first_wait=first_wait)
    return fetch(address, **options) if hub_id is None else hub_files(hub_id, names, **options)


def hub_files(
    hub_id: HubId, names: Sequence[str], *, advice: str | None = None, first_wait: float = 1.0
) -> Path:
    """Returns the path of the first of several files that a repository has.

    Args:
        hub_id: A repository; with a file, only this file is looked for.
        names: Paths of files in it; files that are on this machine already come first.
        advice: See `fetch`.
        first_wait: See `fetch`.

    Raises:
        UserError: If the repository has none of them, or they cannot be had.
    """
    ids = [replace(hub_id, file=name) for name in ([hub_id.file] if hub_id.file else names)]
    for one in ids:
        here = _in_own_cache(one) or _fetched(one)
        if here is not None:
            return here
    missing: NotThere | None = None
    for one in ids:
        try:
            return fetch_hub(one, advice=advice, first_wait=first_wait)
        except NotThere as error:
            missing = error
            if len(ids) == 1:
                raise
    raise NotThere(
        f'{hub_id}: the repository has none of {", ".join(names)}; name a file of it, as '
        f'{PREFIX}{hub_id.repo}/FILE ({endpoint()}/{hub_id.repo}/tree/{hub_id.revision})'
    ) from missing


def _fetched(hub_id: HubId) -> Path | None:
    path = folder_for(hub_id.url) / str(hub_id.file).rpartition('/')[2]
    return path if path.is_file() else None


def _in_own_cache(hub_id: HubId) -> Path | None:
    """Returns the file in the cache of huggingface_hub, which other programs fill."""
    # a mirror's files may differ; files that an index lists must lie beside it
    if os.environ.get('HF_ENDPOINT') or str(hub_id.file).endswith('.index.json'):
        return None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(hub_id.repo, str(hub_id.file), revision=hub_id.revision)
    return Path(found) if isinstance(found, str) else None


def _token() -> str | None:
    try:
        from huggingface_hub import get_token
    except ImportError:
        return os.environ.get('HF_TOKEN')
    return get_token()
