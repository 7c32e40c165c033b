"""The checkpoints in the folder of a run.

Their names hold the iteration: ``iter_1000.pth``.
"""

from __future__ import annotations

import os
from pathlib import Path

from rein_seg.errors import UserError


def checkpoints(work_dir: str | os.PathLike) -> list[Path]:
    """Returns the checkpoints of a run, the newest first.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.engine.checkpoint_files import checkpoints
        >>> for name in ('iter_500.pth', 'iter_1000.pth', 'iter_x.pth'):
        ...     Path(name).touch()
        >>> [path.name for path in checkpoints('.')]
        ['iter_1000.pth', 'iter_500.pth']
    """
    found = [path for path in Path(work_dir).glob('iter_*.pth') if path.stem[5:].isdecimal()]
    return sorted(found, key=iteration_of, reverse=True)


def iteration_of(path: Path) -> int:
    """Returns the iteration in the name of a checkpoint."""
    return int(path.stem.removeprefix('iter_'))


def latest_checkpoint(work_dir: str) -> str:
    """Returns the path of the newest complete checkpoint of a run.

    Args:
        work_dir: Folder of the run.

    Raises:
        UserError: If the folder holds no checkpoint.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.engine.checkpoint_files import latest_checkpoint
        >>> for iteration in (500, 1000):
        ...     Path(f'iter_{iteration}.pth').touch()
        >>> latest_checkpoint('.')
        'iter_1000.pth'
    """
    found = checkpoints(work_dir)
    if not found:
        raise UserError(
            f'--resume: {work_dir!r} holds no checkpoint (iter_*.pth) to go on from; start without '
            '--resume, or name the run with --work-dir'
        )
    return str(found[0])
