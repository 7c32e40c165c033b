"""Batches of streets by their number: what a step sees follows from the seed and the step alone.

S streets, L looks, H x W pixels, N patches, V visible and G guessed ones.
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
    """(1 + L, 3, H, W) uint8, RGB, of a street by its number: neutral first."""

    def __init__(self, settings: PretrainSettings) -> None:
        self.settings = settings

    def __len__(self) -> int:
        return self.settings.steps * self.settings.scenes

    def __getitem__(self, number: int) -> Tensor:
        run = self.settings
        views = render_views(number, seed=run.seed, size=run.size, count=run.looks)
        stack = np.stack(views)[..., ::-1].transpose(0, 3, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(stack))


def batches(settings: PretrainSettings, *, start: int, workers: int) -> Iterator[Tensor]:
    """Yields (S, 1 + L, 3, H, W) of each step from ``start`` on; drawn in other processes."""
    if workers:
        # here, not in them: a forked process hangs when it ends a pool that it has no threads of
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
    """Returns (S L, V) visible and (S L, G) guessed patch numbers of a step."""
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
    pictures = settings.scenes * settings.looks
    order = torch.rand(pictures, patches, generator=generator).argsort(1)
    visible, guessed = round(settings.keep * patches), round(settings.guess * patches)
    return order[:, :visible], order[:, visible : visible + guessed]
