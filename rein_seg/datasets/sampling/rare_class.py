"""Rare class sampling: images with rare classes are drawn more often, and cropped around them.

N images, K classes, f_c share of class c in all labelled pixels, T temperature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import DATA_SAMPLERS, TRANSFORMS

from rein_seg.datasets.sampling.class_counts import class_counts, class_frequencies
from rein_seg.datasets.sampling.stream import SampleIndex, StreamSampler, stream_seed
from rein_seg.datasets.transforms.fast import FastRandomCrop
from rein_seg.errors import UserError

_DRAW = 1  # part of the seed: the sampler must not repeat the numbers of the transforms


class RareClassIndex(SampleIndex):
    """A `SampleIndex` that carries the class its image was drawn for."""

    rare_class: int

    def __new__(cls, index: int, seed: int, rare_class: int) -> RareClassIndex:
        """Returns ``index`` with ``seed`` and ``rare_class``."""
        self = super().__new__(cls, index, seed)
        self.rare_class = rare_class
        return self

    @property
    def fields(self) -> Mapping[str, Any]:
        """The field added to the sample: ``rare_class``."""
        return {'rare_class': self.rare_class}

    def __reduce__(self) -> tuple:
        return RareClassIndex, (int(self), self.seed, self.rare_class)


@DATA_SAMPLERS.register_module()
class RareClassSampler(StreamSampler):
    """Endless sampler that draws a class, then an image with enough of it: p(c) ~ exp((1 - f_c)/T).

    The sample at a position is a function of (seed, position) alone, as in `StreamSampler`. Classes
    are counted at the first use: `class_counts`.

    Args:
        dataset: Data set to sample from.
        temperature: T; a smaller T draws rare classes more often.
        min_pixels: Pixels of the class that a label must have, 1 or more. A class without such a
            label is not drawn.
        seed: Seed, the same on every rank.
        cache_dir: Folder for the counts; None takes a folder below the data root.
        workers: Number of threads that count.

    Attributes:
        frequencies: (K,) f_c.
        probabilities: (K,) p(c).
        images: For each class the indexes of its images.

    Raises:
        UserError: If T is not positive, min_pixels is below 1, or no label has as many pixels of
            any class.

    Source: Hoyer, Dai, Van Gool, DAFormer, CVPR 2022, Sec. 3.2. The default of min_pixels follows
    their code, from memory: unverified.

    Example:
        >>> from rein_seg.datasets import BlobsDataset, RareClassSampler
        >>> dataset = BlobsDataset('dark', split='val', count=2, size=(32, 32), data_root='cache')
        >>> sampler = RareClassSampler(dataset, temperature=0.5, min_pixels=20, seed=0)
        >>> sampler.at(7) == sampler.at(7)  # resuming needs no state
        True
        >>> sampler.probabilities.argmax()  # the blob covers fewer pixels than its background
        np.int64(1)
    """

    def __init__(
        self,
        dataset: Any,
        *,
        temperature: float = 0.01,
        min_pixels: int = 3000,
        seed: int | None = None,
        cache_dir: str | None = None,
        workers: int | None = None,
    ) -> None:
        if temperature <= 0 or min_pixels < 1:
            raise UserError(
                f'RareClassSampler: temperature={temperature}, min_pixels={min_pixels}: expected '
                'a temperature above 0 and 1 pixel or more'
            )
        super().__init__(dataset, seed=seed)
        counts = class_counts(dataset, cache_dir=cache_dir, workers=workers)
        self.frequencies = class_frequencies(counts)
        self.images = [np.flatnonzero(column >= min_pixels) for column in counts.T]
        drawn = np.array([len(images) > 0 for images in self.images])
        if not drawn.any():
            raise UserError(
                f'RareClassSampler: no label has min_pixels={min_pixels} pixels of any class (the '
                f'most is {int(counts.max(initial=0))}): lower it'
            )
        self.probabilities = class_probabilities(self.frequencies, temperature, drawn)
        self._until = np.cumsum(self.probabilities)
        _log(dataset.metainfo['classes'], self.frequencies, self.probabilities, self.images)

    def at(self, position: int) -> RareClassIndex:
        """Returns the index at one position of the stream that all ranks share."""
        generator = np.random.default_rng((self.seed, position, _DRAW))
        # times the last sum, which rounding leaves near 1, not at 1
        at = generator.random() * self._until[-1]
        rare_class = int(np.searchsorted(self._until, at, side='right'))
        index = int(generator.choice(self.images[rare_class]))
        return RareClassIndex(index, stream_seed(self.seed, position), rare_class)


def class_probabilities(
    frequencies: np.ndarray, temperature: float, drawn: np.ndarray | None = None
) -> np.ndarray:
    """Returns (K,) softmax((1 - f_c) / T), over the classes that are drawn; 0 for others.

    Args:
        frequencies: (K,) f_c, 0..1.
        temperature: T.
        drawn: (K,) bool; None draws all.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets.sampling.rare_class import class_probabilities
        >>> class_probabilities(np.array([0.9, 0.1]), temperature=0.5)
        array([0.168, 0.832])
    """
    logits = (1 - frequencies) / temperature
    # a class without images must not be drawn, whatever its share
    if drawn is not None:
        logits = np.where(drawn, logits, -np.inf)
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@TRANSFORMS.register_module()
class RareClassCrop(FastRandomCrop):
    """mmseg's `RandomCrop`, drawn again while it has too few pixels of the sample's rare class.

    `RareClassSampler` sets the sample's ``rare_class``. Without it, or if the whole image has too
    few pixels of the class, this is a `RandomCrop`.

    Args:
        crop_size: (h, w), or one side of a square.
        min_crop_pixels: Pixels of the class that the crop must have.
        tries: Largest number of crops. If none has enough pixels, the crop with most is taken.
        **kwargs: As `RandomCrop`: cat_max_ratio, ignore_index.

    Source: as `RareClassSampler`. Differs from it: there the whole sample is loaded and resized
    again, and the last try is taken.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import RareClassCrop
        >>> label = np.zeros((16, 16), np.uint8)
        >>> label[12:, 12:] = 1
        >>> crop = RareClassCrop(8, min_crop_pixels=4, tries=50)
        >>> result = crop(dict(img=np.zeros((16, 16, 3), np.uint8), gt_seg_map=label,
        ...                    seg_fields=['gt_seg_map'], rare_class=1))
        >>> (result['gt_seg_map'] == 1).sum() >= 4
        np.True_
    """

    def __init__(
        self,
        crop_size: int | Sequence[int],
        *,
        min_crop_pixels: int = 1500,
        tries: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(crop_size if isinstance(crop_size, int) else tuple(crop_size), **kwargs)
        if tries < 1 or min_crop_pixels < 1:
            raise UserError(
                f'RareClassCrop: tries={tries}, min_crop_pixels={min_crop_pixels}: expected 1 or '
                'more of both'
            )
        self.min_crop_pixels, self.tries = min_crop_pixels, tries

    def crop_bbox(self, results: dict) -> tuple[int, int, int, int]:
        """Returns (top, bottom, left, right) of the crop, in pixels."""
        rare_class = results.get('rare_class')
        first = super().crop_bbox(results)
        if rare_class is None:
            return first
        mask = results['gt_seg_map'] == rare_class

        def pixels(box: tuple[int, int, int, int]) -> int:
            return int(np.count_nonzero(self.crop(mask, box)))

        best, most = first, pixels(first)
        if np.count_nonzero(mask) < self.min_crop_pixels:
            return first
        for _ in range(self.tries - 1):
            if most >= self.min_crop_pixels:
                break
            box = super().crop_bbox(results)
            if (found := pixels(box)) > most:
                best, most = box, found
        return best


def _log(
    classes: Sequence[str],
    frequencies: np.ndarray,
    probabilities: np.ndarray,
    images: Sequence[np.ndarray],
) -> None:
    order = np.argsort(-probabilities, kind='stable')
    rows = [
        f'{classes[i]} {probabilities[i]:.3f} ({frequencies[i]:.2e} of the pixels, '
        f'{len(images[i])} images)'
        for i in order
        if probabilities[i] > 0
    ]
    none = [name for name, p in zip(classes, probabilities, strict=True) if p == 0]
    text = f'; not drawn: {", ".join(none)}' if none else ''
    print_log(f'rare class sampling draws {", ".join(rows)}{text}', logger='current')
