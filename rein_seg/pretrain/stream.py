"""Batches of streets by number: the batch of a step depends on the seed and the step alone.

S streets, L looks, H x W pixels, N patches, V visible and G guessed patches.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rein_seg.pretrain.settings import PretrainSettings
from rein_seg.scenes.streets.views import render_views


class Streets(Dataset):
    """Views (1 + L, 3, H, W) uint8, RGB, of a street by its number: the neutral view first."""

    def __init__(self, settings: PretrainSettings) -> None:
        self.settings = settings

    def __len__(self) -> int:
        return self.settings.steps * self.settings.scenes

    def __getitem__(self, number: int) -> Tensor:
        run = self.settings
        views = render_views(number, seed=run.seed, size=run.size, count=run.looks)
        stack = np.stack(views)[..., ::-1].transpose(0, 3, 1, 2)  # BGR to RGB, channels first
        return torch.from_numpy(np.ascontiguousarray(stack))


def batches(settings: PretrainSettings, *, start: int, workers: int) -> Iterator[Tensor]:
    """Yields (S, 1 + L, 3, H, W) of each step from ``start`` on, drawn by other processes."""
    if workers:
        # before the fork: a child process hangs when it ends a thread pool that it did not start
        cv2.setNumThreads(0)
    numbers = range(start * settings.scenes, settings.steps * settings.scenes)
    loader = DataLoader(
        Streets(settings),
        batch_size=settings.scenes,
        sampler=numbers,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    yield from loader


def draw_masks(settings: PretrainSettings, step: int, *, patches: int) -> tuple[Tensor, Tensor]:
    """Returns (S L, V) visible and (S L, G) guessed patch numbers of a step.

    Example:
        >>> from rein_seg.pretrain import BUDGETS
        >>> from rein_seg.pretrain.stream import draw_masks
        >>> visible, guessed = draw_masks(BUDGETS['smoke'], 0, patches=20)
        >>> visible.shape, guessed.shape, set(visible[0].tolist()) & set(guessed[0].tolist())
        (torch.Size([4, 8]), torch.Size([4, 5]), set())
    """
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
    pictures = settings.scenes * settings.looks
    order = torch.rand(pictures, patches, generator=generator).argsort(1)
    visible, guessed = round(settings.keep * patches), round(settings.guess * patches)
    return order[:, :visible], order[:, visible : visible + guessed]
