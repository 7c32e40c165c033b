"""Downloads files: whole, checked, once; nothing here reads what is in them."""

from rein_seg.download.cache import OFFLINE, cache_folder, offline
from rein_seg.download.fetch import fetch
from rein_seg.download.hub import (
    HubId,
    fetch_address,
    fetch_hub,
    hub_files,
    is_address,
    parse_hub_id,
)
from rein_seg.download.web import NotThere

__all__ = [
    'OFFLINE',
    'HubId',
    'NotThere',
    'cache_folder',
    'fetch',
    'fetch_address',
    'fetch_hub',
    'hub_files',
    'is_address',
    'offline',
    'parse_hub_id',
]
