"""Measures the cost of a trained model: forward time unmerged, merged, and of its frozen encoder.

B batch, H x W image.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from rein_seg.models.windows import WINDOWED
from rein_seg.timing import interleave

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

    The method is merged and taken out in copies of the encoder; the model stays as it is. All ways
    take turns (`interleave`); the first round is not counted.

    Args:
        model: A `PEFTSegmentor` or a `PEFTImageModel`.
        size: (H, W) of the images in pixels; the window's is taken where the model slides.
        amp: bfloat16 autocast.
        repeats: Counted calls of each way, at least.
        seconds: Goes on for so long where calls are short, up to 50 of each way.

    Returns:
        ``size`` (H, W) in pixels; medians in milliseconds: ``ms_per_image`` of the whole model,
        ``ms_per_image_merged`` (None where ``not_mergeable`` says why), ``encoder_ms`` of encoder
        and method, ``encoder_ms_merged``, ``encoder_ms_frozen`` without the method; and
        ``encoder_ratio``, ``encoder_ratio_merged`` to the latter, each by its fastest call, which
        other work on the machine disturbs least.
    """
    slides = model.task == 'pixels' and model.test_cfg.mode in WINDOWED
    height, width = model.test_cfg.crop_size if slides else size
    parameter = next(model.parameters())
    image = torch.zeros(1, 3, height, width, device=parameter.device)
    metas = [dict(img_shape=(height, width))]
    merged, reason = _merged(model.backbone)
    frozen = _frozen(model.backbone)
    with torch.no_grad():
        texts = model.texts()  # for methods that read the names of classes

    ways: dict[str, Callable[[], Any]] = {
        'ms_per_image': lambda: _run(model, image, metas),
        'encoder_ms': lambda: model.backbone(image, *texts),
        'encoder_ms_frozen': lambda: frozen(image),
    }
    twin = None if merged is None else _with_backbone(model, merged)
    if merged is not None and twin is not None:
        ways['ms_per_image_merged'] = lambda: _run(twin, image, metas)
        ways['encoder_ms_merged'] = lambda: merged.encoder(image)
    was_training = model.training
    for module in (model, merged, frozen, twin):
        if module is not None:
            module.eval()
    with torch.no_grad(), torch.autocast(image.device.type, torch.bfloat16, enabled=amp):
        options = dict(repeats=repeats, seconds=seconds, most=_MOST_ROUNDS, memory=False)
        measured = interleave(ways, device=image.device, **options)
    model.train(was_training)
    took = {name: way.seconds for name, way in measured.items()}
    return {'size': [height, width], **_figures(took), 'not_mergeable': reason}


def _run(model: Any, image: torch.Tensor, metas: list[dict]) -> Any:
    if model.task == 'images':
        return model.head.predict(model.encode(image))
    return model.encode_decode(image, metas)


def _with_backbone(model: nn.Module, backbone: nn.Module) -> nn.Module:
    """Returns the model with another backbone; all else is shared."""
    twin = copy.copy(model)
    twin._modules = {**model._modules, 'backbone': backbone}
    return twin


def _frozen(backbone: nn.Module) -> nn.Module:
    """Returns the encoder without its method, in a copy."""
    if backbone.peft.trains_encoder:  # has no other weights than the trained: as fast, no copy
        return backbone.encoder
    twin = copy.deepcopy(backbone)
    twin.detach()
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


def _figures(took: Mapping[str, Sequence[float]]) -> dict[str, float | None]:
    figures: dict[str, float | None] = dict.fromkeys(
        ('ms_per_image', 'ms_per_image_merged', 'encoder_ms', 'encoder_ms_merged')
    )
    figures |= {name: round(1000 * statistics.median(each), 3) for name, each in took.items()}
    for suffix in ('', '_merged'):
        own = took.get(f'encoder_ms{suffix}')
        ratio = min(own) / min(took['encoder_ms_frozen']) if own else None
        figures[f'encoder_ratio{suffix}'] = None if ratio is None else round(ratio, 4)
    return figures
