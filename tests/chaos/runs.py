"""The configurations that are killed, and what is compared of their runs."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch

from rein_seg.checkpoint import read_adapter, read_checkpoint
from tests.campaign.case import Case, Outcome
from tests.campaign.run import run_case
from tests.chaos.kills import Kill, count_changes
from tests.run.tiny_run import write_config

_LENGTH = 'max_iters=12'
_OPTIONS = ('model.decode_head.dropout_ratio=0.3', 'train_cfg.val_interval=5')
_CRITIC = (
    'model.type=AdversarialSegmentor',
    'model.critic.type=Critic',
    'model.critic.encoder.type=TinyViT',
    'model.critic.encoder.arch.embed_dims=16',
    'model.critic.encoder.arch.num_layers=2',
    'model.critic.encoder.arch.num_heads=2',
    'model.critic.encoder.arch.feedforward_channels=32',
    'model.critic.encoder.img_size=32,64',
    'model.critic.encoder.init_seed=1',
    'optim_wrapper.constructor=AdversarialOptimConstructor',
    'optim_wrapper.critic.optimizer.type=AdamW',
    'optim_wrapper.critic.optimizer.lr=5e-4',
    'optim_wrapper.critic.optimizer.betas=0.5,0.9',
)
_RESULTS = ('parameters_sha256', 'domains', 'iterations', 'training', 'selected')


@dataclass(frozen=True)
class Configuration:
    """A kind of run.

    Attributes:
        name: In the table.
        options: Of ``--cfg-options``.
        arguments: Further arguments of the command.
        ranks: Number of processes.
        command: ``train`` or ``compare``.
    """

    name: str
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    ranks: int = 1
    command: str = 'train'


CONFIGURATIONS = (
    Configuration('accumulated gradients', ('optim_wrapper.accumulative_counts=3',)),
    Configuration(
        'average of the weights, best checkpoint',
        ('ema.begin=3', 'ema.momentum=0.1', 'default_hooks.checkpoint.save_best=clear/mIoU'),
    ),
    Configuration('two workers', ('train_dataloader.num_workers=2',)),
    Configuration('bfloat16 (--amp)', arguments=('--amp',)),
    Configuration('two processes', arguments=('--launcher', 'pytorch'), ranks=2),
    Configuration('generator and critic', _CRITIC),
    Configuration('comparison', command='compare'),
)


def start(
    kind: Configuration, folder: Path, kill: Kill | None = None, note: Callable | None = None
) -> Outcome:
    """Starts or goes on with a run in ``folder``; returns how it ended."""
    port = _free_port()

    def prepare(where: Path) -> list[str]:
        rank = _fork_ranks(kind.ranks, port)
        if kill is not None:
            kill.arm(rank)
        if note is not None:
            count_changes(note)
        return _arguments(kind, where)

    outcome = run_case(Case(kind.name, prepare, timeout=300), folder)
    _end_children(folder)
    return outcome


def _arguments(kind: Configuration, folder: Path) -> list[str]:
    work_dir = folder / 'run'
    options = ['--cfg-options', _LENGTH, *_OPTIONS, *kind.options]
    common = [kind.command, str(folder / 'tiny.py'), '--work-dir', str(work_dir)]
    if kind.command == 'compare':
        return [*common, '--peft', 'LoRA', '--seeds', '0', *options]
    resume = ['--resume'] if any(work_dir.glob('iter_*.pth')) else []
    return [*common, *resume, *kind.arguments, *options]


def _fork_ranks(ranks: int, port: int) -> int:
    """Forks the processes of a distributed run; returns the rank of the one that goes on."""
    if ranks == 1:
        return 0
    rank = 0
    for number in range(1, ranks):
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # ends with the first, as under torchrun
            rank = number
            break
    address = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=port, WORLD_SIZE=ranks)
    os.environ.update({k: str(v) for k, v in dict(address, RANK=rank, LOCAL_RANK=rank).items()})
    return rank


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def _end_children(folder: Path) -> None:
    """Kills processes of a comparison, which a killed parent leaves behind."""
    for entry in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            found = os.fsencode(folder) in entry.read_bytes()
        except OSError:
            continue
        if found and int(entry.parent.name) != os.getpid():
            os.kill(int(entry.parent.name), signal.SIGKILL)


def prepare_folder(folder: Path, scenes: Path) -> Path:
    """Makes an empty folder for a run, with its config and the drawn scenes of all runs."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_config(folder)
    if scenes.exists():
        shutil.copytree(scenes, folder / 'scenes')
    return folder


def final_state(folder: Path) -> dict[str, Any]:
    """Returns everything that must not depend on interruptions, as comparable values."""
    run = next(path.parent for path in folder.glob('run/**/results.json'))
    results = json.loads((run / 'results.json').read_text())
    state = {key: results.get(key) for key in _RESULTS}
    state['adapter'] = _bytes(read_adapter(run / 'adapter.safetensors').tensors)
    last = read_checkpoint(run / f'iter_{results["iterations"]}.pth')
    parts = ('state_dict', 'raw_state_dict', 'optimizer', 'param_schedulers')
    return {**state, **{part: _bytes(last.get(part)) for part in parts}}


def _bytes(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.contiguous().view(-1).view(torch.uint8).tolist()
    if isinstance(value, dict):
        return {key: _bytes(part) for key, part in value.items()}
    return [_bytes(part) for part in value] if isinstance(value, (list, tuple)) else value


def half_written(folder: Path) -> Iterator[str]:
    """Yields the files of a killed run that cannot be read, temporary files aside."""
    readers = {
        '.pth': read_checkpoint,
        '.safetensors': read_adapter,
        '.json': lambda path: json.loads(path.read_text()),
        '.png': lambda path: cv2.imread(str(path)).shape,
        '.py': lambda path: compile(path.read_text(), str(path), 'exec'),
    }
    for path in sorted(folder.rglob('*')):
        # logs are appended to: scalars.json in vis_data is no single value
        if path.suffix not in readers or path.name[0] == '.' or path.parent.name == 'vis_data':
            continue
        try:
            readers[path.suffix](path)
        except Exception as error:
            yield f'{path.relative_to(folder)}: {error}'
