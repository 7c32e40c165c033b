"""Training of a small model that can be resumed; interruptions do not change its result."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rein_seg.checkpoint import load_strict, read_checkpoint, save_checkpoint, write_json
from rein_seg.checkpoint.strict import fitting
from rein_seg.encoders.info import DEFAULT_MEAN, DEFAULT_STD
from rein_seg.errors import UserError
from rein_seg.pretrain.muon import make_optimizers
from rein_seg.progress import Meter

LAST = 'last.pth'
_LOG_EVERY = 10  # steps


class Training(ABC):
    """A model, its optimisers and their number of steps.

    Args:
        model: The model, with initial weights.
        settings: Settings of the run: a data class with steps, lr, warmup, momentum, weight_decay
            and save_every.
        device: Device; a GPU computes in bfloat16.
    """

    def __init__(self, model: nn.Module, settings: Any, *, device: str = 'cpu') -> None:
        self.settings, self.device = settings, torch.device(device)
        self.model = model.to(self.device)
        self.optimizers = make_optimizers(
            self.model,
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        self.done = 0
        self.losses: list[tuple[int, float]] = []
        self.recent: list[float] = []
        self.mean = torch.tensor(DEFAULT_MEAN, device=self.device).view(1, 3, 1, 1)
        self.std = torch.tensor(DEFAULT_STD, device=self.device).view(1, 3, 1, 1)

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """Returns the loss of a batch."""

    def step(self, batch: Any) -> float:
        """Makes one optimiser step and returns the loss."""
        loss = self.loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 3.0)
        rate = learning_rate(self.settings, self.done)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group['lr'] = rate
            optimizer.step()
            optimizer.zero_grad()
        self.done += 1
        return float(loss.detach())

    def normalised(self, images: Tensor) -> Tensor:
        """Returns images (B, 3, H, W), RGB, 0..255, as an encoder takes them."""
        return (images.float() - self.mean) / self.std

    def autocast(self) -> torch.autocast:
        """Returns the context of the forward pass: bfloat16 on a GPU."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == 'cuda')

    def note_loss(self) -> None:
        """Records the mean loss of the steps since the last record."""
        self.losses.append((self.done, sum(self.recent) / len(self.recent)))
        self.recent.clear()

    def save(self, path: Path) -> None:
        """Writes a checkpoint for `load`, atomically."""
        content = dict(
            settings=asdict(self.settings),
            done=self.done,
            losses=self.losses,
            recent=self.recent,
            model=self.model.state_dict(),
            optimizers=[optimizer.state_dict() for optimizer in self.optimizers],
        )
        save_checkpoint(path, content)

    def load(self, path: Path) -> None:
        """Resumes from a checkpoint of `save`.

        Raises:
            UserError: If the file cannot be read, or belongs to a run with other settings.
        """
        content = read_checkpoint(path, map_location=self.device)
        with fitting(f'checkpoint {str(path)!r}', named=True):
            check_same(content['settings'], asdict(self.settings), path)
            load_strict(self.model, content['model'], what='pretraining', source=str(path))
            for optimizer, state in zip(self.optimizers, content['optimizers'], strict=True):
                optimizer.load_state_dict(state)
            self.done = int(content['done'])
            self.losses = [tuple(entry) for entry in content['losses']]
            self.recent = list(content['recent'])


def check_same(theirs: dict[str, Any], ours: dict[str, Any], path: Path) -> None:
    """Checks that a checkpoint has the settings of this run; ``save_every`` may differ.

    Raises:
        UserError: If other settings differ.
    """
    differ = [
        f'{name} was {theirs.get(name)!r} and is {value!r}'
        for name, value in ours.items()
        # a tuple comes back from the file as a list
        if name != 'save_every' and _plain(theirs.get(name)) != _plain(value)
    ]
    if differ:
        raise UserError(
            f'checkpoint {str(path)!r} is of another run: {"; ".join(differ)}; give the same '
            'settings, or another --work-dir'
        )


def learning_rate(settings: Any, step: int) -> float:
    """Returns the learning rate of a step: a linear rise, then half a cosine down to a hundredth.

    Example:
        >>> from rein_seg.pretrain import PretrainSettings
        >>> from rein_seg.pretrain.training import learning_rate
        >>> run = PretrainSettings(steps=100, lr=1.0, warmup=0.1)
        >>> [round(learning_rate(run, step), 3) for step in (0, 9, 10, 55, 99)]
        [0.1, 1.0, 1.0, 0.505, 0.01]
    """
    rise = max(1, round(settings.warmup * settings.steps))
    if step < rise:
        return settings.lr * (step + 1) / rise
    share = (step - rise) / max(1, settings.steps - rise)
    return settings.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def run_training(
    training: Training,
    stream: Callable[[int], Iterable[Any]],
    work_dir: Path,
    *,
    resume: bool = False,
) -> None:
    """Trains to the end, with regular checkpoints in ``work_dir``.

    Args:
        training: The training; resumed from the last checkpoint, if there is one.
        stream: Number of steps made -> the batches of all further steps.
        work_dir: Folder of the checkpoints and the loss curve, losses.json.
        resume: Whether a checkpoint may be there.

    Raises:
        UserError: If there is a checkpoint and ``resume`` is not set, or it belongs to another run.
    """
    last, settings = work_dir / LAST, training.settings
    if last.exists() and not resume:
        raise UserError(f'{str(last)!r} exists: give --resume to go on, or another --work-dir')
    if last.exists():
        training.load(last)
    start = time.perf_counter()
    with progress_bar(settings.steps, training.done) as advance:
        for batch in stream(training.done):
            training.recent.append(training.step(batch))
            if training.done % _LOG_EVERY == 0 or training.done == settings.steps:
                training.note_loss()
                advance(training.done, training.losses[-1][1])
            if training.done % settings.save_every == 0 or training.done == settings.steps:
                training.save(last)
    seconds = time.perf_counter() - start
    write_json(work_dir / 'losses.json', dict(losses=training.losses, seconds=seconds))


@contextmanager
def progress_bar(total: int, done: int) -> Iterator[Any]:
    """Yields a function (steps done, loss) that shows how far the work is."""
    with Meter(total, what='pretraining', unit='steps', done=done) as meter:

        def advance(steps: int, loss: float) -> None:
            meter.advance(steps - meter.done, note=f'loss {loss:.4f}')

        yield advance


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
