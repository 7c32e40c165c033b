"""Finds the file of an encoder's weights: on this machine, or downloaded on first use."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from mmengine.logging import print_log

from rein_seg.checkpoint.shards import INDEX, NAMES, shards_of
from rein_seg.download import fetch_address, fetch_hub, is_address, parse_hub_id
from rein_seg.encoders.installed import installed_file, names_installed
from rein_seg.encoders.pretrained import PREFIX, package_file
from rein_seg.encoders.shapes_only import is_shapes_only
from rein_seg.errors import UserError

_KEY = 'model.backbone.encoder.checkpoint'


def locate(checkpoint: str, url: str | None = None, *, what: str, key: str = _KEY) -> str:
    """Returns the path of a weights file on this machine; downloads it if it is not there yet.

    Downloads nothing inside of `shapes_only`, where weights have no use.

    Args:
        checkpoint: A path; ``package:NAME``; ``package:PACKAGE/FILE`` of an installed package; an
            address of the web; or an id of the hub, such as ``hf:facebook/dinov2-base``.
        url: Address of the same file, for a path that does not exist. It is left alone unless its
            last part is the path's: another file would be loaded in place of the user's own.
        what: Owner of the weights, for messages.
        key: Key of ``checkpoint`` in a config, for messages.

    Raises:
        UserError: If the file is missing, and cannot be downloaded.

    Example:
        >>> from rein_seg.encoders.locate import locate
        >>> locate('package:tiny_vit.safetensors', what='encoder')[-20:]
        'tiny_vit.safetensors'
        >>> locate('none.pth', what="encoder 'tiny'")
        Traceback (most recent call last):
        rein_seg.errors.UserError: encoder 'tiny': weights file 'none.pth' does not exist; download
        it as docs/reference/weights.md says, or point model.backbone.encoder.checkpoint to it
    """
    if checkpoint.startswith(PREFIX) and not names_installed(checkpoint):
        return str(package_file(checkpoint))
    if is_shapes_only():
        return checkpoint
    if names_installed(checkpoint):
        return str(installed_file(checkpoint, what=what))
    if is_address(checkpoint):
        return _download(checkpoint, f'download it where there is a network, and set {key} to it')
    path = Path(checkpoint)
    if path.exists():
        return checkpoint
    missing = f'{what}: weights file {checkpoint!r} does not exist'
    if url is None or _last_part(url) != path.name:
        hub = f'hf:{checkpoint}' if re.fullmatch(r'[\w-]+/[\w-]+', checkpoint) else None
        way = f'write {hub} for a repository of the hub' if hub else f'point {key} to it'
        raise UserError(f'{missing}; download it as docs/reference/weights.md says, or {way}')
    try:
        found = _download(url, f'put it at {checkpoint!r}, or point {key} to it')
    except UserError as error:
        raise UserError(f'{missing}, and {error}') from error
    _say_once(f'{checkpoint} does not exist: {what} takes {found}')
    return found


@functools.cache
def _say_once(line: str) -> None:
    """Logs a line once: a run looks for its weights several times."""
    print_log(line, logger='current')


def _last_part(url: str) -> str:
    return urlsplit(url).path.rpartition('/')[2]


def _download(address: str, advice: str) -> str:
    path = fetch_address(address, NAMES, advice=advice)
    hub_id = parse_hub_id(address)
    if hub_id is not None and path.name.endswith(INDEX):
        folder = f'{hub_id.file or path.name}'.rpartition('/')[0]
        for shard in shards_of(path):
            file = f'{folder}/{shard}' if folder else shard
            fetch_hub(replace(hub_id, file=file), advice=advice, own_cache=False)
    return str(path)
