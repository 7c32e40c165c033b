"""Batches of pictures and texts by number: a batch depends on the seed and the step alone.

P pictures, W windows of a picture, Q phrases, T tokens, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rein_seg.pretrain.captions.captions import SURE, Sight, Window, caption, framed, sights
from rein_seg.pretrain.captions.lexicon import NOUNS, WORDS
from rein_seg.pretrain.captions.settings import CaptionSettings
from rein_seg.scenes.streets.pictures import render_picture
from rein_seg.text.tokens import WordTokenizer

PATCH = 8
_SMALLEST = 4  # patches: the shortest side of a window
_CROPS = (48, 128)  # pixels: sides of crops
UNKNOWN = -1  # a few pixels show it: neither true nor false


@dataclass
class Batch:
    """The pictures and texts of a step.

    Args:
        images: (P, 3, H, W) uint8, RGB.
        crops: (P, 3, h, w) uint8, RGB: a crop of each picture.
        windows: (P, W, 4) top, left, bottom, right, in patches.
        phrases: (Q, T) token ids.
        truth: (P, W, Q) int8: whether a phrase is true of a window: 1, 0 or UNKNOWN.
        whole_truth: (2 P, Q): the same of the pictures, then of the crops.
        captions: (P W, T) token ids, of the windows.
        wholes: (2 P, T) token ids, of the pictures and the crops.
    """

    images: Tensor
    crops: Tensor
    windows: Tensor
    phrases: Tensor
    truth: Tensor
    whole_truth: Tensor
    captions: Tensor
    wholes: Tensor

    def to(self, device: torch.device) -> Batch:
        """Returns the batch on another device."""
        return Batch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


class CaptionedStreets(Dataset):
    """The `Batch` of a step, by its number."""

    def __init__(self, settings: CaptionSettings) -> None:
        self.settings = settings
        self.tokenizer = WordTokenizer(WORDS)

    def __len__(self) -> int:
        return self.settings.steps

    def __getitem__(self, step: int) -> Batch:
        run = self.settings
        rng = np.random.default_rng((run.seed, 1, step))
        numbers = range(step * run.pictures, (step + 1) * run.pictures)
        pictures = [render_picture(i, seed=run.seed, size=run.size) for i in numbers]
        width, height = run.size
        windows = [[_window(rng, run.size) for _ in range(run.windows)] for _ in pictures]
        side = [PATCH * int(rng.integers(_CROPS[0] // PATCH, _CROPS[1] // PATCH + 1)) for _ in '12']
        crops = [_crop(rng, run.size, side) for _ in pictures]
        whole = (0, 0, height, width)
        seen = [[sights(p, w) for w in ws] for p, ws in zip(pictures, windows, strict=True)]
        of_crops = [sights(p, w) for p, w in zip(pictures, crops, strict=True)]
        of_wholes = [sights(p, whole) for p in pictures]
        keys = _choose(rng, [s for row in seen for s in row], run.phrases)
        images = [_channels_first(p.image) for p in pictures]
        cut = [image[:, w[0] : w[2], w[1] : w[3]] for image, w in zip(images, crops, strict=True)]
        airs = [p.air for p in pictures]
        texts = [caption(s, a, rng) for row, a in zip(seen, airs, strict=True) for s in row]
        both = zip(of_wholes + of_crops, airs + airs, strict=True)
        return Batch(
            images=torch.from_numpy(np.stack(images)),
            crops=torch.from_numpy(np.stack(cut)),
            windows=torch.tensor(windows) // PATCH,
            phrases=self.encode([framed(key, rng) for key in keys]),
            truth=torch.stack([_truth(row, keys) for row in seen]),
            whole_truth=_truth(of_wholes + of_crops, keys),
            captions=self.encode(texts),
            wholes=self.encode([caption(s, a, rng, most=8) for s, a in both]),
        )

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Returns the (K, T) ids of texts, without columns that hold padding alone."""
        ids = self.tokenizer.encode(texts, self.settings.context_length, truncate=True)
        return ids[:, : int((ids > 0).sum(1).max())]


def batches(settings: CaptionSettings, *, start: int, workers: int) -> Iterator[Batch]:
    """Yields the batch of each step from ``start`` on, drawn by other processes."""
    if workers:
        # before the fork: a child process hangs when it ends a thread pool that it did not start
        cv2.setNumThreads(0)
    yield from DataLoader(
        CaptionedStreets(settings),
        batch_size=None,
        sampler=range(start, settings.steps),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )


def _window(rng: np.random.Generator, size: tuple[int, int]) -> Window:
    """Draws a window of whole patches, with sides of any length by the logarithm."""
    spans = []
    for pixels in (size[1], size[0]):
        patches = pixels // PATCH
        least = min(_SMALLEST, patches)
        length = int(np.exp(rng.uniform(np.log(least), np.log(patches + 1))))
        start = int(rng.integers(patches - length + 1))
        spans.append((start * PATCH, (start + length) * PATCH))
    (top, bottom), (left, right) = spans
    return top, left, bottom, right


def _crop(rng: np.random.Generator, size: tuple[int, int], side: Sequence[int]) -> Window:
    height, width = min(side[0], size[1]), min(side[1], size[0])
    top = int(rng.integers(size[1] - height + 1))
    left = int(rng.integers(size[0] - width + 1))
    return top, left, top + height, left + width


def _choose(rng: np.random.Generator, seen: Sequence[dict[str, Sight]], count: int) -> list[str]:
    """Returns each class twice, and further keys of what can be seen, rare keys as often."""
    classes = [str(label) for label in NOUNS]
    finer = sorted({k for s in seen for k, v in s.items() if not k.isdigit() and v.pixels >= SURE})
    more = rng.permutation(np.array(finer))[:count].tolist() if finer else []
    return [*classes, *classes, *more]


def _truth(seen: Sequence[dict[str, Sight]], keys: Sequence[str]) -> Tensor:
    """Returns (W, Q): whether a key is in each crop."""
    nothing = Sight()
    pixels = torch.tensor([[s.get(key, nothing).pixels for key in keys] for s in seen])
    truth = (pixels >= SURE).to(torch.int8)
    truth[(pixels > 0) & (pixels < SURE)] = UNKNOWN
    return truth


def _channels_first(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))
