"""Weights that come with the package, by name and SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rein_seg.errors import UserError, near_misses

PREFIX = 'package:'
# of the files' bytes; docs/background/model-card*.md tell how each was trained
SHA256 = {
    'tiny_vit.safetensors': '3da413e5de7c96b4da124aa26ed156469c704006eac6dc9b1296342633f4fab4',
    'tinyclip.safetensors': '11dfa706e914b48056a666695d335448953ae0e7537efb22673adfe99adbca16',
}


def package_file(checkpoint: str) -> Path:
    """Returns the path of ``package:NAME``, a weights file of the package.

    Raises:
        UserError: If the name is unknown, or the file is missing or was changed.

    Example:
        >>> from rein_seg.encoders.pretrained import package_file
        >>> package_file('package:tiny_vit.safetensors').name
        'tiny_vit.safetensors'
    """
    name = checkpoint.removeprefix(PREFIX)
    if name not in SHA256:
        raise UserError(
            f'checkpoint={checkpoint!r}: the package has no such weights; '
            f'{near_misses(name, SHA256)}'
        )
    path = Path(__file__).parent / name
    if not path.is_file():
        raise UserError(f'checkpoint={checkpoint!r}: {str(path)!r} is missing: install again')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256[name]:
        raise UserError(
            f'checkpoint={checkpoint!r}: {str(path)!r} has SHA-256 {digest}, expected '
            f'{SHA256[name]}: it was changed or damaged; install again'
        )
    return path
