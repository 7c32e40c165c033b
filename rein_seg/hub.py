"""Adapter files from the Hugging Face hub."""

from __future__ import annotations

import os
import re
from pathlib import Path

from rein_seg.errors import UserError

_ID = re.compile(r'([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?')
_FILES = ('.safetensors', '.pth', '.pt', '.bin', '.py', '.ckpt')


def is_hub_id(text: str) -> bool:
    """Says whether a text has the form of an id, ``user/name`` or ``user/name@revision``.

    Example:
        >>> from rein_seg.hub import is_hub_id
        >>> is_hub_id('ann/rein-cars@v1'), is_hub_id('runs/adapter.safetensors'), is_hub_id('a/b/c')
        (True, False, False)
    """
    return bool(_ID.fullmatch(text)) and not text.endswith(_FILES)


def fetch(hub_id: str, file: str) -> Path:
    """Returns the path of a file of the hub, downloaded on first use into the hub's cache.

    Args:
        hub_id: ``user/name`` or ``user/name@revision``.
        file: Its name there.

    Raises:
        UserError: If the hub cannot be reached, or has no such file; the line names file and
            address.
    """
    from huggingface_hub import constants, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    found = _ID.fullmatch(hub_id)
    assert found is not None
    name, revision = found[1], found[2]
    endpoint = os.environ.get('HF_ENDPOINT') or constants.ENDPOINT
    address = hf_hub_url(name, file, revision=revision, endpoint=endpoint)
    try:
        return Path(hf_hub_download(name, file, revision=revision, endpoint=endpoint))
    except GatedRepoError as error:
        raise UserError(
            f'{address} needs permission: ask for access on its page, then log in with '
            '`hf auth login` or set HF_TOKEN'
        ) from error
    except LocalEntryNotFoundError as error:
        raise UserError(
            f'{hub_id!r} is no file here, and {file} cannot be downloaded from {address}: no '
            'connection; download it elsewhere and give its path'
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise UserError(
            f'{hub_id!r} is no file here, and {address} gives no {file} ({type(error).__name__}: '
            f'{reason}): expected an adapter file, or an id of the hub with {file}'
        ) from error
