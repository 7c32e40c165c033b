"""The work folder of a run: locked for one process, free of other runs' files."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from mmengine import dist
from mmengine.logging import print_log

from rein_seg.checkpoint import remove_temporary
from rein_seg.engine.checkpoint_files import checkpoints, iteration_of
from rein_seg.errors import UserError

LOCK = '.lock'
_RESULTS = ('results.json', 'adapter.safetensors')


class RunFolder:
    """The work folder of a run, locked for it by `run_folder`.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._lock: IO[str] | None = None

    def lock(self) -> None:
        """Locks the folder; the system frees the lock when this process ends, however it ends.

        The lock is the process's own: workers that outlive a killed run do not hold it.

        Raises:
            UserError: If another process has the lock.
        """
        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / LOCK).open('a+')
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._refused(error, file)
            if _is_still(file, self.path / LOCK):
                break
            file.close()  # another process has moved the folder meanwhile
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file

    def unlock(self) -> None:
        """Frees the folder."""
        if self._lock is not None:
            (self.path / LOCK).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def _refused(self, error: OSError, file: IO[str]) -> None:
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            print_log(f'{self.path}: the file system has no locks; start no other run there')
            return
        file.seek(0)
        owner = file.read().strip() or '?'
        file.close()
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise error
        raise UserError(
            f'{self.path} is in use by another run (process {owner}): wait for its end, or name '
            'another --work-dir'
        ) from None

    def is_used(self) -> bool:
        """Whether the folder holds checkpoints or results."""
        found = any((self.path / name).exists() for name in _RESULTS)
        return found or bool(checkpoints(self.path)) or any(self.path.glob('best_*.pth'))

    def clean(self) -> None:
        """Removes temporary files that a killed run left."""
        stray = remove_temporary(self.path)
        if stray:
            print_log(f'{self.path}: removed {len(stray)} temporary files of a killed run')

    def move_old_run(self, paths: dict[str, str]) -> None:
        """Moves a run that the folder holds to ``FOLDER.N``.

        Args:
            paths: Key -> path that the new run reads.

        Raises:
            UserError: If the folder cannot be moved: the new run reads from it, or works in it.
        """
        if not self.is_used():
            return
        folder = self.path.resolve()
        inside = [f'{key}={path}' for key, path in paths.items() if _is_inside(path, folder)]
        if _is_inside(os.getcwd(), folder):
            inside.append('the working folder')
        if inside:
            raise UserError(
                f'{self.path} holds a run, which cannot be moved away, since {inside[0]} lies in '
                'it: name another --work-dir, or go on with --resume'
            )
        target = next(
            new
            for number in itertools.count(1)
            if not (new := folder.with_name(f'{folder.name}.{number}')).exists()
        )
        self.unlock()
        os.rename(folder, target)
        self.lock()
        print_log(f'{self.path} held a run, which is in {target} now; --resume would go on with it')

    def set_aside_newer(self, start: str) -> None:
        """Renames checkpoints of the folder that are newer than the one to go on from."""
        if Path(start).resolve().parent != self.path.resolve():
            return
        for path in checkpoints(self.path):
            if iteration_of(path) > iteration_of(Path(start)):
                aside = path.with_name(f'{path.name}.aside')
                os.replace(path, aside)
                print_log(f'{path} is newer than {Path(start).name} and is {aside.name} now')


def _is_still(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _is_inside(path: str, folder: Path) -> bool:
    return Path(path).exists() and folder in (Path(path).resolve(), *Path(path).resolve().parents)


@contextlib.contextmanager
def run_folder(path: str | os.PathLike) -> Iterator[RunFolder]:
    """Yields the work folder, locked by the main process and cleaned.

    Raises:
        UserError: On all processes, if another run works in it.

    Example:
        >>> from rein_seg.run.folder import run_folder
        >>> with run_folder('work_dirs/demo') as folder:
        ...     folder.is_used()
        False
    """
    folder = RunFolder(path)
    on_main_process(folder.lock)
    try:
        on_main_process(folder.clean)
        yield folder
    finally:
        folder.unlock()


def on_main_process(work: Callable[..., None], *args: Any) -> None:
    """Does something on the main process; an error there is raised on all processes."""
    failed: list[Exception | None] = [None]
    if dist.is_main_process():
        try:
            work(*args)
        except (UserError, OSError) as error:
            failed = [error]
    if dist.get_world_size() > 1:
        dist.broadcast_object_list(failed)
    if failed[0] is not None:
        raise failed[0]
