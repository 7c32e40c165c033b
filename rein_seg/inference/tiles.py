"""Predictions of an image of any size: in one piece, or in overlapping tiles, row by row.

K channels of a prediction, H x W image, n rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from mmseg.structures import SegDataSample
from torch import Tensor

from rein_seg.errors import UserError
from rein_seg.models.band_preprocessor import BandPreProcessor
from rein_seg.models.padding import pad_reflecting, pad_with_mean
from rein_seg.models.postprocess import unpad
from rein_seg.models.windows import Window, window_places, windows_at_once

# a frame of Cityscapes, 1024 x 2048, in patches of 16 pixels: models of street scenes are tested
# on such frames whole. Attention grows with the square of this number
MAX_TOKENS = 8192
_TILE_SHARE = (
    4  # a tile has this part of the tokens: smaller tiles are faster, larger ones see more
)
_OVERLAP_SHARE = 6  # of a tile's side
_STAGED_PATCH, _STAGED_STEP = 16, 32  # of networks in stages, which need no whole patches
_MOST_VALUES = 2**27  # of predictions that are kept at once: 512 MiB

Read = Callable[[int, int, int, int], np.ndarray]
Rows = tuple[int, Tensor]  # first row, (K, n, W) predictions of n rows


@dataclass(frozen=True)
class Plan:
    """How an image goes through a model.

    Attributes:
        size: (H, W) of the image.
        tile: (h, w) of a tile, or None: the image goes in one piece.
        stride: (h, w) from tile to tile.
        ramp: (h, w) in pixels over which a tile's weight rises from its border; 0: all weights
            are 1.
    """

    size: tuple[int, int]
    tile: tuple[int, int] | None = None
    stride: tuple[int, int] = (0, 0)
    ramp: tuple[int, int] = (0, 0)

    @property
    def places(self) -> list[Window]:
        """(top, bottom, left, right) of each tile, row by row."""
        if self.tile is None:
            return [(0, self.size[0], 0, self.size[1])]
        return window_places(self.size, self.tile, self.stride)

    def __str__(self) -> str:
        rows, columns = (len({place[i] for place in self.places}) for i in (0, 2))
        tile = self.tile or self.size
        return f'{rows} x {columns} tiles of {tile[0]} x {tile[1]} pixels (height x width)'


def check_max_tokens(max_tokens: Any) -> int:
    """Returns the number of patches of the largest image that goes in one piece.

    Raises:
        UserError: If it is no whole number of at least 16.
    """
    if max_tokens is None:
        return MAX_TOKENS
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 16:
        raise UserError(
            f'max_tokens={max_tokens!r}: expected a whole number of patches, 16 or more, such as '
            f'{MAX_TOKENS}, the default'
        )
    return max_tokens


def make_plan(model: Any, size: tuple[int, int], *, max_tokens: int = MAX_TOKENS) -> Plan:
    """Returns the plan for an image: the model's own windows, one piece, or tiles.

    A model that is tested with windows (``test_cfg`` mode slide or fit_slide) keeps them, with
    plain means. An image of any other model goes in one piece up to ``max_tokens`` patches, above
    it in tiles of the size of its training crop, which it knows best. They overlap by a sixth,
    blended with linear ramps.

    Args:
        model: The segmentor.
        size: (H, W) that the network sees.
        max_tokens: Number of patches; a network in stages (Swin, ConvNeXt, ResNet) counts 16 x 16
            pixels as a patch.
    """
    anatomy, test_cfg = model.backbone.anatomy, model.test_cfg
    if test_cfg['mode'] == 'fit_slide':  # it resizes the whole image
        return Plan(size)
    if test_cfg['mode'] == 'slide':
        if model.out_channels * size[0] * size[1] <= _MOST_VALUES:
            return Plan(size)
        return Plan(size, tuple(test_cfg['crop_size']), tuple(test_cfg['stride']))
    patch, step = anatomy.divisor, anatomy.divisor
    if len(anatomy.stage_depths) > 1:
        patch, step = _STAGED_PATCH, math.lcm(step, _STAGED_STEP)
    tokens = math.prod(-(-side // patch) for side in size)
    if tokens <= max_tokens and model.out_channels * size[0] * size[1] <= _MOST_VALUES:
        return Plan(size)
    tile = _tile(model.data_preprocessor, max_tokens, patch, step)
    overlap = tuple(max(side // _OVERLAP_SHARE // step, 1) * step for side in tile)
    # one row of tiles is kept with all its classes: of a very wide image it is lower
    lower = _MOST_VALUES // (model.out_channels * size[1]) // step * step
    height = min(tile[0], max(lower, 2 * overlap[0]))
    return Plan(
        size,
        tile=(height, tile[1]),
        stride=(height - overlap[0], tile[1] - overlap[1]),
        ramp=overlap,
    )


def _tile(preprocessor: Any, max_tokens: int, patch: int, step: int) -> tuple[int, int]:
    """Returns (h, w) of a tile: the crop of the training, or a square if that is not known."""
    crop = getattr(preprocessor, 'size', None)
    if crop is not None and math.prod(-(-side // patch) for side in crop) <= max_tokens:
        return tuple(max(-(-side // step), 2) * step for side in crop)
    side = max(math.isqrt(max_tokens // _TILE_SHARE) * patch // step, 2) * step
    return side, side


def predict_rows(model: Any, read: Read, plan: Plan) -> Iterator[Rows]:
    """Yields the predictions of an image, from top to bottom, each row once.

    Memory is bounded by one row of tiles, whatever the height of the image.

    Args:
        model: The segmentor, in eval mode.
        read: (y0, x0, y1, x1) -> (y1 - y0, x1 - x0, 3) uint8 RGB pixels.
        plan: From `make_plan`, for this model.
    """
    if plan.tile is None:
        height, width = plan.size
        yield 0, _predict_piece(model, read(0, 0, height, width))
        return
    band: _Band | None = None
    for top, row in groupby(plan.places, key=lambda place: place[0]):
        places = list(row)
        if band is None:
            band = _Band(model.out_channels, plan, next(model.parameters()).device)
        yield from band.move_to(top)
        for place, predicted in _predict_tiles(model, read, places, plan):
            band.add(place, predicted)
    assert band is not None
    yield from band.move_to(plan.size[0])


def normalised(model: Any, image: np.ndarray) -> tuple[Tensor, dict[str, Any]]:
    """Returns the network's input for an image, (1, 3, h, w), and what mmseg knows of it.

    Args:
        model: The segmentor; its preprocessor may pad.
        image: (H, W, 3) uint8 RGB, or (H, W, C) of bands.
    """
    # (H, W, 3) RGB -> (3, H, W) BGR, as mmseg's loaders give it; bands keep their order
    ordered = image if isinstance(model.data_preprocessor, BandPreProcessor) else image[..., ::-1]
    tensor = torch.from_numpy(np.ascontiguousarray(ordered.transpose(2, 0, 1)))
    size = image.shape[:2]
    sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
    data = model.data_preprocessor(dict(inputs=[tensor], data_samples=[sample]), False)
    return data['inputs'], data['data_samples'][0].metainfo


def _predict_piece(model: Any, image: np.ndarray) -> Tensor:
    inputs, meta = normalised(model, image)
    return unpad(model.inference(inputs, [meta])[0], meta)


def _predict_tiles(
    model: Any, read: Read, places: list[Window], plan: Plan
) -> Iterator[tuple[Window, Tensor]]:
    """Yields each tile of a row with its (K, h, w) predictions; they go in batches."""
    device = next(model.parameters()).device
    top, bottom, left, right = places[0]
    at_once = windows_at_once((bottom - top, right - left), model.test_cfg, device)
    anatomy = model.backbone.anatomy
    pad = pad_reflecting if any(plan.ramp) else pad_with_mean  # as mmseg's windows
    for start in range(0, len(places), at_once):
        chunk = places[start : start + at_once]
        crops = []
        for y0, y1, x0, x1 in chunk:
            inputs, meta = normalised(model, read(y0, x0, y1, x1))
            crops.append(unpad(inputs[0], meta))
        batch = torch.stack(crops)
        height, width = batch.shape[-2:]
        batch = pad(batch, anatomy.divisor, anatomy.smallest_side)
        predicted = model.encode_decode(batch)[..., :height, :width]
        yield from zip(chunk, predicted, strict=True)


class _Band:
    """The rows that tiles still add to: weighted sums of predictions, and of weights."""

    def __init__(self, channels: int, plan: Plan, device: torch.device) -> None:
        assert plan.tile is not None
        self.plan, self.top = plan, 0
        rows = min(plan.tile[0], plan.size[0])
        self.total = torch.zeros(channels, rows, plan.size[1], device=device)
        self.weight = torch.zeros(rows, plan.size[1], device=device)

    def add(self, place: Window, predicted: Tensor) -> None:
        y0, y1, x0, x1 = place
        rows, columns = slice(y0 - self.top, y1 - self.top), slice(x0, x1)
        weight = self._weight(place)
        self.total[:, rows, columns] += predicted * weight
        self.weight[rows, columns] += weight

    def move_to(self, top: int) -> Iterator[Rows]:
        """Yields the rows above ``top``, which no later tile reaches, and makes room below."""
        done = top - self.top
        if done <= 0:
            return
        yield self.top, self.total[:, :done] / self.weight[:done]
        for kept in (self.total, self.weight):
            rest = kept[..., done:, :].clone()
            kept.zero_()
            kept[..., : rest.shape[-2], :] = rest
        self.top = top

    def _weight(self, place: Window) -> Tensor:
        rows = _ramp(place[0], place[1], self.plan.size[0], self.plan.ramp[0])
        columns = _ramp(place[2], place[3], self.plan.size[1], self.plan.ramp[1])
        return torch.outer(rows, columns).to(self.total.device)


def _ramp(start: int, stop: int, side: int, length: int) -> Tensor:
    """Returns the weights of a tile's rows: rising from its border, but 1 at the image's.

    Where two tiles overlap by ``length``, their weights add up to 1.
    """
    place = torch.arange(stop - start, dtype=torch.float32) + 0.5
    weight = torch.ones(stop - start)
    if length and start > 0:
        weight = torch.minimum(weight, place / length)
    if length and stop < side:
        weight = torch.minimum(weight, place.flip(0) / length)
    return weight
