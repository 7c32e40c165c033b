"""Faults of the operating system: disks, rights, limits, workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.campaign.case import Case
from tests.campaign.faults import (
    become_nobody,
    full_disk,
    limit_file_size,
    limit_open_files,
    read_only,
    small_disk,
)
from tests.campaign.run import train_quietly
from tests.run.tiny_run import write_config

KIND = 'faults of the operating system'
IO = (74,)
# parts of a config that break something while it trains
BREAKER = """
import os, shutil, signal, sys
import numpy as np, torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS, TRANSFORMS

@HOOKS.register_module()
class RemoveFolder(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 2:
            shutil.rmtree(self.folder)

    def __init__(self, folder):
        self.folder = folder

@HOOKS.register_module()
class TakeMemory(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.library == 'torch':
            torch.zeros(1 << 44)
        np.zeros(1 << 44).sum()

    def __init__(self, library):
        self.library = library

@TRANSFORMS.register_module()
class Break:
    def __init__(self, how):
        self.how = how

    def __call__(self, results):
        if self.how == 'kill' and torch.utils.data.get_worker_info():
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == 'memory':
            np.zeros(1 << 44).sum()
        return results
"""
IMPORT = "\ncustom_imports = dict(imports=['breaker'])\n"
HOOK = IMPORT + 'custom_hooks = [dict({arguments})]\n'
PIPELINE = """
train_dataloader = dict(num_workers={workers}, dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'), dict(type='LoadLabels'), dict(type='Break', how={how!r}),
    dict(type='PackDomainInputs')]))
"""


def config(folder: Path, extra: str = '') -> str:
    """Writes the tiny config, and `BREAKER` beside it; returns its path."""
    import sys

    sys.path.insert(0, str(folder))
    (folder / 'breaker.py').write_text(BREAKER)
    return write_config(folder, 'lora_tiny_miniscapes', extra)


def train(prepare: Callable[[Path], str], extra: str = '') -> Callable[[Path], list[str]]:
    """Returns a case's preparation: trains in the work folder that ``prepare`` returns."""

    def ready(folder: Path) -> list[str]:
        path = config(folder, extra)
        return ['train', path, '--work-dir', prepare(folder)]

    return ready


def _disk(size: str) -> Callable[[Path], str]:
    return lambda folder: str(small_disk(folder / 'run', size))


def _file_as_folder(folder: Path) -> str:
    (folder / 'run').write_text('a file')
    return 'run'


def _no_rights(folder: Path) -> str:
    folder.chmod(0o777)
    (folder / 'scenes').mkdir(mode=0o777)
    (folder / 'scenes').chmod(0o777)
    (folder / 'run').mkdir(mode=0o555)
    become_nobody()
    return 'run'


def _below_a_file(folder: Path) -> str:
    (folder / 'there').write_text('a file')
    return 'there/run'


def _open_files(folder: Path) -> str:
    limit_open_files(len(os.listdir('/proc/self/fd')) + 2)
    return 'run'


def _file_size(size: int) -> Callable[[Path], str]:
    def limited(folder: Path) -> str:
        limit_file_size(size)
        return 'run'

    return limited


def _no_folder(folder: Path) -> list[str]:
    path = config(folder)
    gone = folder / 'gone'
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    return ['train', path, '--work-dir', 'run']


def _plain(folder: Path) -> str:
    return 'run'


def _trained(folder: Path) -> str:
    """Trains in a process of its own; returns the adapter."""
    train_quietly(config(folder), 'done')
    return 'done/adapter.safetensors'


def _into(command: str, output: str, fault: Callable[[Path], object]) -> Callable:
    """Returns the preparation of a command that writes the adapter of a run into ``output``."""

    def ready(folder: Path) -> list[str]:
        adapter = _trained(folder)
        fault(folder)
        return [command, 'tiny.py', adapter, '--out', output]

    return ready


def _test_into_full(folder: Path) -> list[str]:
    adapter = _trained(folder)
    small_disk(folder / 'run', '16k')
    return ['test', 'tiny.py', adapter, '--work-dir', 'run']


def _images_vanish(folder: Path) -> list[str]:
    adapter = _trained(folder)
    for image in (folder / 'scenes').rglob('*.png'):
        image.unlink()
    return ['test', 'tiny.py', adapter, '--work-dir', 'run']


def _data_unreadable(folder: Path) -> str:
    _trained(folder)
    folder.chmod(0o777)
    for below in [folder / 'done', folder / 'scenes', *(folder / 'scenes').rglob('*')]:
        below.chmod(0o555 if below.is_dir() else 0o000)
    become_nobody()
    return 'run'


def _closed_pipe(folder: Path) -> list[str]:
    read, write = os.pipe()
    os.close(read)
    os.dup2(write, 1)
    return ['show', 'rein_tiny_miniscapes']


def _full_stdout(folder: Path) -> list[str]:
    os.dup2(os.open('/dev/full', os.O_WRONLY), 1)
    return ['show', 'rein_tiny_miniscapes']


def _json_into(output: str, fault: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    def ready(folder: Path) -> list[str]:
        fault(folder)
        return ['count', 'rein_tiny_miniscapes', '--json', output]

    return ready


def cases() -> Iterator[Case]:
    """Yields the cases."""
    for size in ('4k', '64k', '100k', '200k', '300k', '400k', '800k'):
        yield Case(f'disk of {size}', train(_disk(size)), says='run', codes=IO)
    yield Case('read-only disk', train(lambda f: str(read_only(f / 'run'))), says='run', codes=IO)
    yield Case('a file as work folder', train(_file_as_folder), says='run', codes=(2, 74))
    yield Case('a work folder below a file', train(_below_a_file), says='there', codes=(2, 74))
    yield Case('no right to write', train(_no_rights), says='run', codes=IO)
    yield Case('no right to read the data', train(_data_unreadable), says='scenes', codes=(2, 74))
    for size in (16_384, 65_536, 100_000):
        yield Case(f'files of at most {size} bytes', train(_file_size(size)), says="'", codes=IO)
    yield Case('too many open files', train(_open_files), says='open files', codes=IO)
    yield Case('working folder is gone', _no_folder, says='folder', codes=(2, 74))
    removed = HOOK.format(arguments="type='RemoveFolder', folder='run'")
    yield Case('work folder removed while it trains', train(_plain, removed), 'run', IO)
    for library in ('torch', 'numpy'):
        takes = HOOK.format(arguments=f"type='TakeMemory', library={library!r}")
        yield Case(f'out of memory: {library}', train(_plain, takes), 'memory', (1,))
    for workers in (0, 1):
        killed = IMPORT + PIPELINE.format(workers=workers, how='memory')
        yield Case(f'out of memory, {workers} workers', train(_plain, killed), 'memory', (1,))
    killed = IMPORT + PIPELINE.format(workers=1, how='kill')
    yield Case('killed worker', train(_plain, killed), says='worker', codes=(1,))
    for output in ('merged.safetensors', 'merged.pth'):
        for name, fault in [
            ('full', lambda folder: small_disk(folder / 'out', '16k')),
            ('read-only', lambda folder: read_only(folder / 'out')),
            ('file', lambda folder: (folder / 'out').write_text('')),
        ]:
            prepare = _into('merge', f'out/{output}', fault)
            yield Case(f'merge {output} into {name}', prepare, says='out', codes=(2, 74))
    yield Case('test on a full disk', _test_into_full, says='run', codes=IO)
    yield Case('drawn images vanish', _images_vanish, check=lambda folder, text: None)
    yield Case('closed pipe', _closed_pipe, says=None, codes=(141,))
    yield Case('full standard output', _full_stdout, says='output', codes=IO)
    for output, fault in [
        ('/dev/full', lambda folder: None),
        ('out/x.json', lambda folder: full_disk(folder / 'out')),
        ('out/x.json', lambda folder: read_only(folder / 'out')),
        ('out', lambda folder: (folder / 'out').mkdir()),
    ]:
        yield Case(f'--json {output}', _json_into(output, fault), says=output, codes=(2, 74))
    for variable in ('TMPDIR', 'HOME', 'MPLCONFIGDIR', 'XDG_CACHE_HOME', 'TORCH_HOME'):
        for value in ('/nowhere', '/proc', '/dev/null'):
            yield Case(
                f'{variable}={value}',
                train(_plain),
                check=lambda folder, text: None,
                environment=((variable, value),),
            )
    for value in ('C', 'tr_TR.UTF-8', 'nowhere'):
        yield Case(
            f'LC_ALL={value}',
            train(_plain),
            check=lambda folder, text: None,
            environment=(('LC_ALL', value), ('PYTHONIOENCODING', 'ascii')),
        )
