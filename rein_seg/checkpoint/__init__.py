"""Reading and writing weights: strict, with a coverage report, atomic, never unpickling."""

from rein_seg.checkpoint.adapter import read_adapter, save_adapter
from rein_seg.checkpoint.load import IDENTITY_FORMAT, load_adapter, load_checkpoint
from rein_seg.checkpoint.official import is_official, to_official
from rein_seg.checkpoint.pretrained import load_file, refuse  # noqa: F401  registers them
from rein_seg.checkpoint.read import read_checkpoint, read_state_dict, state_dict_of
from rein_seg.checkpoint.shards import read_weights
from rein_seg.checkpoint.strict import load_strict, tensors_sha256
from rein_seg.checkpoint.write import (
    atomic_path,
    remove_temporary,
    save_checkpoint,
    save_tensors,
    write_json,
    write_new,
    write_png,
    write_text,
)

__all__ = [
    'IDENTITY_FORMAT',
    'atomic_path',
    'is_official',
    'load_adapter',
    'load_checkpoint',
    'load_strict',
    'read_adapter',
    'read_checkpoint',
    'read_state_dict',
    'read_weights',
    'remove_temporary',
    'save_adapter',
    'save_checkpoint',
    'save_tensors',
    'state_dict_of',
    'tensors_sha256',
    'to_official',
    'write_json',
    'write_new',
    'write_png',
    'write_text',
]
