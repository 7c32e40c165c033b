"""Runs a pretraining that can be resumed; interruptions do not change its result."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rein_seg.checkpoint import load_strict, read_checkpoint, save_checkpoint, write_json
from rein_seg.checkpoint.strict import fitting
from rein_seg.encoders.info import DEFAULT_MEAN, DEFAULT_STD
from rein_seg.encoders.plain_vit.tiny_vit import TinyViT
from rein_seg.errors import UserError
from rein_seg.pretrain.model import NeutralView, prediction_loss
from rein_seg.pretrain.muon import make_optimizers
from rein_seg.pretrain.settings import PretrainSettings
from rein_seg.pretrain.stream import batches, draw_masks
from rein_seg.pretrain.targets import patch_targets
from rein_seg.progress import Meter

LAST = 'last.pth'
_LOG_EVERY = 10  # steps


class Pretraining:
    """A model, its optimisers and their number of steps.

    Args:
        settings: Settings of the run.
        device: Device; a GPU computes in bfloat16.
    """

    def __init__(self, settings: PretrainSettings, *, device: str = 'cpu') -> None:
        self.settings, self.device = settings, torch.device(device)
        encoder = TinyViT(img_size=settings.size[::-1])
        self.model = NeutralView(encoder, seed=settings.seed).to(self.device)
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

    def step(self, batch: Tensor) -> float:
        """Makes one optimiser step.

        Args:
            batch: (S, 1 + L, 3, H, W) uint8, RGB, neutral views first.

        Returns:
            The loss.
        """
        run, batch = self.settings, batch.to(self.device)
        # all looks of a street share the targets of its neutral view
        targets = patch_targets(batch[:, 0].float() / 255).repeat_interleave(run.looks, 0)
        images = (batch[:, 1:].flatten(0, 1).float() - self.mean) / self.std
        visible, guessed = draw_masks(run, self.done, patches=targets.shape[1])
        visible, guessed = visible.to(self.device), guessed.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == 'cuda'):
            predicted = self.model(images, visible, guessed)
        loss = prediction_loss(predicted, targets, torch.cat((visible, guessed), dim=1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 3.0)
        rate = learning_rate(run, self.done)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group['lr'] = rate
            optimizer.step()
            optimizer.zero_grad()
        self.done += 1
        return float(loss.detach())

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


def learning_rate(settings: PretrainSettings, step: int) -> float:
    """Returns the learning rate of a step: a linear rise, then half a cosine down to a hundredth.

    Example:
        >>> from rein_seg.pretrain import PretrainSettings
        >>> from rein_seg.pretrain.loop import learning_rate
        >>> run = PretrainSettings(steps=100, lr=1.0, warmup=0.1)
        >>> [round(learning_rate(run, step), 3) for step in (0, 9, 10, 55, 99)]
        [0.1, 1.0, 1.0, 0.505, 0.01]
    """
    rise = max(1, round(settings.warmup * settings.steps))
    if step < rise:
        return settings.lr * (step + 1) / rise
    share = (step - rise) / max(1, settings.steps - rise)
    return settings.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def run_pretraining(
    settings: PretrainSettings,
    work_dir: Path,
    *,
    resume: bool = False,
    device: str = 'cpu',
    workers: int = 1,
) -> Pretraining:
    """Pretrains to the end, with regular checkpoints in ``work_dir``.

    Args:
        settings: Settings of the run.
        work_dir: Folder of the checkpoints and the loss curve, losses.json.
        resume: Whether to resume from the last checkpoint, if there is one.
        device: Device to compute on.
        workers: Number of processes that draw streets; 0 draws in this process. The result does
            not depend on it.

    Raises:
        UserError: If there is a checkpoint and ``resume`` is not set, or it belongs to another run.
    """
    last = work_dir / LAST
    if last.exists() and not resume:
        raise UserError(f'{str(last)!r} exists: give --resume to go on, or another --work-dir')
    training = Pretraining(settings, device=device)
    if resume and last.exists():
        training.load(last)
    start = time.perf_counter()
    with progress_bar(settings.steps, training.done) as advance:
        for batch in batches(settings, start=training.done, workers=workers):
            training.recent.append(training.step(batch))
            if training.done % _LOG_EVERY == 0 or training.done == settings.steps:
                training.note_loss()
                advance(training.done, training.losses[-1][1])
            if training.done % settings.save_every == 0 or training.done == settings.steps:
                training.save(last)
    seconds = time.perf_counter() - start
    write_json(work_dir / 'losses.json', dict(losses=training.losses, seconds=seconds))
    return training


@contextmanager
def progress_bar(total: int, done: int) -> Iterator[Any]:
    """Yields a function (steps done, loss) that shows how far the work is."""
    with Meter(total, what='pretraining', unit='steps', done=done) as meter:

        def advance(steps: int, loss: float) -> None:
            meter.advance(steps - meter.done, note=f'loss {loss:.4f}')

        yield advance


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
