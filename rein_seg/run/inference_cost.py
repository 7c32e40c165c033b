"""Measures the cost of a trained model: forward time unmerged, merged, and of its frozen encoder.

B batch, H x W image.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from rein_seg.timing import replaced

_MOST_ROUNDS = 50


def time_inference(
    model: nn.Module,
    size: Sequence[int],
    *,
    amp: bool = False,
    repeats: int = 5,
    seconds: float = 1.0,
) -> dict[str, Any]:
    """Times one image, or one window where the model slides.

    The method is merged and taken out in copies of the encoder; the model stays as it is. All
    ways take turns, so that they see the same machine; one round first is not counted.

    Args:
        model: A `PEFTSegmentor`.
        size: (H, W) of the images in pixels; the window's is taken where the model slides.
        amp: bfloat16 autocast.
        repeats: Counted calls of each way, at least.
        seconds: Goes on so long, for calls that are short, up to 50 of each way.

    Returns:
        ``size`` (H, W) in pixels; medians in milliseconds: ``ms_per_image`` of the whole model,
        ``ms_per_image_merged`` (None where ``not_mergeable`` says why), ``encoder_ms`` of encoder
        and method, ``encoder_ms_merged``, ``encoder_ms_frozen`` without the method; and
        ``encoder_ratio``, ``encoder_ratio_merged`` to the latter, each by its fastest call: on a
        machine that does other things, too, those are disturbed least.
    """
    height, width = model.test_cfg.crop_size if model.test_cfg.mode == 'slide' else size
    parameter = next(model.parameters())
    image = torch.zeros(1, 3, height, width, device=parameter.device)
    metas = [dict(img_shape=(height, width))]
    merged, reason = _merged(model.backbone)
    frozen = _frozen(model.backbone)

    def whole_merged() -> None:
        with replaced(model, 'backbone', merged):
            model.encode_decode(image, metas)

    ways: dict[str, Callable[[], Any]] = {
        'ms_per_image': lambda: model.encode_decode(image, metas),
        'encoder_ms': lambda: model.backbone(image),
        'encoder_ms_frozen': lambda: frozen(image),
    }
    if merged is not None:
        ways['ms_per_image_merged'] = whole_merged
        ways['encoder_ms_merged'] = lambda: merged.encoder(image)
    was_training = model.training
    for module in (model, merged, frozen):
        if module is not None:
            module.eval()
    with torch.no_grad(), torch.autocast(image.device.type, torch.bfloat16, enabled=amp):
        took = _take_turns(ways, repeats, seconds, image.device)
    model.train(was_training)
    return {'size': [height, width], **_figures(took), 'not_mergeable': reason}


def _frozen(backbone: nn.Module) -> nn.Module:
    """Returns the encoder without its method, in a copy."""
    if backbone.peft.trains_encoder:  # has no other weights than the trained: as fast, no copy
        return backbone.encoder
    twin = copy.deepcopy(backbone)
    twin.peft.detach()
    return twin.encoder


def _merged(backbone: nn.Module) -> tuple[nn.Module | None, str | None]:
    """Returns a merged copy, or None and the reason why there can be none."""
    twin = copy.deepcopy(backbone)
    try:
        with torch.no_grad():
            twin.peft.merge()
    except NotImplementedError as error:
        return None, str(error)
    return twin, None


def _take_turns(
    ways: Mapping[str, Callable[[], Any]], repeats: int, seconds: float, device: torch.device
) -> dict[str, list[float]]:
    """Returns the times of each way, in milliseconds."""
    for way in ways.values():
        _milliseconds(way, device)
    took: dict[str, list[float]] = {name: [] for name in ways}
    begun = time.perf_counter()
    for round_ in range(max(repeats, _MOST_ROUNDS)):
        if round_ >= repeats and time.perf_counter() - begun > seconds:
            break
        for name, way in ways.items():
            took[name].append(_milliseconds(way, device))
    return took


def _milliseconds(way: Callable[[], Any], device: torch.device) -> float:
    start = time.perf_counter()
    way()
    if device.type == 'cuda':
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)


def _figures(took: Mapping[str, Sequence[float]]) -> dict[str, float | None]:
    figures: dict[str, float | None] = dict.fromkeys(
        ('ms_per_image', 'ms_per_image_merged', 'encoder_ms', 'encoder_ms_merged')
    )
    figures |= {name: round(statistics.median(each), 3) for name, each in took.items()}
    for suffix in ('', '_merged'):
        own = took.get(f'encoder_ms{suffix}')
        ratio = min(own) / min(took['encoder_ms_frozen']) if own else None
        figures[f'encoder_ratio{suffix}'] = None if ratio is None else round(ratio, 4)
    return figures
