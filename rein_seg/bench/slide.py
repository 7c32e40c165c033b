"""Sliding-window inference: windows in batches beside mmseg's serial loop."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.models.segmentors import EncoderDecoder

from rein_seg.config.load import load_config
from rein_seg.run.predict import init_model
from rein_seg.timing import compare, interleave


def benchmark_slide(
    config: str,
    *,
    size: tuple[int, int],
    crop: int,
    stride: int,
    batch_windows: int,
    repeats: int,
) -> dict[str, Any]:
    """Measures both ways on one random image, in turn.

    Args:
        config: Config file.
        size: (H, W) of the image in pixels.
        crop: Side of a window in pixels.
        stride: Pixels from window to window.
        batch_windows: Windows at a time.
        repeats: Timed calls of each way.

    Returns:
        ``max_difference`` of the logits, ``serial_s`` and ``batched_s``, medians in seconds, and
        ``ratio`` of the two with its range.
    """
    slide = dict(mode='slide', crop_size=(crop,) * 2, stride=(stride,) * 2)
    options = {'model.test_cfg': dict(slide, batch_windows=batch_windows)}
    model = init_model(load_config(config, cfg_options=options))
    device = next(model.parameters()).device
    torch.manual_seed(0)
    image = torch.randn(1, 3, *size, device=device)
    # mmseg writes the window's size into the metas, so every call gets its own
    ways = {
        'serial': lambda: EncoderDecoder.slide_inference(model, image, [dict(img_shape=size)]),
        'batched': lambda: model.slide_inference(image, [dict(img_shape=size)]),
    }
    with torch.no_grad():
        outputs = {name: way() for name, way in ways.items()}
        measured = interleave(ways, repeats=repeats, device=device, warmup=0, memory=False)
    figures = compare(measured, 'serial')
    return {
        'max_difference': (outputs['serial'] - outputs['batched']).abs().max().item(),
        'serial_s': figures['serial']['seconds'],
        'batched_s': figures['batched']['seconds'],
        'ratio': figures['batched']['time_ratio'],
        'ratio_range': figures['batched']['time_ratio_range'],
    }
