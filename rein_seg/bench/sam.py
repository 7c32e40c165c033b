"""Training steps of Conv-LoRA on SAM: with fast forms, and with plain forms in their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from rein_seg.bench.speed.official import SCORES, officially
from rein_seg.config.load import load_config
from rein_seg.errors import UserError
from rein_seg.peft.methods.conv_lora import ConvLoRA
from rein_seg.run.predict import init_model
from rein_seg.timing import compare, interleave


def benchmark_sam(
    config: str | Config, *, size: int, repeats: int, report: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Measures steps (forward, backward) of one image, with random weights.

    Args:
        config: Config of a model of `SAMViT` and ConvLoRA, or its file.
        size: Side of the image in pixels.
        repeats: Counted steps of each way.
        report: Takes lines of progress.

    Returns:
        ``ours``, ``dense experts`` (every expert on every row) and ``naive attention`` (scores and
        positions of all pairs in memory), each with seconds, peak memory in MiB over the model's
        own, and ratios to ours.

    Raises:
        UserError: If the model has no ConvLoRA.
    """
    random = {'model.backbone.encoder.checkpoint': None, 'model.backbone.encoder.init_seed': 0}
    cfg = load_config(config, cfg_options=random) if isinstance(config, str) else config
    model = init_model(cfg).train()
    if not isinstance(model.backbone.peft, ConvLoRA):
        raise UserError(
            f'{type(model.backbone.peft).__name__} is not ConvLoRA: give a config that trains it, '
            'such as configs/conv_lora_sam_base_polyp.py'
        )
    step = _step(model, size)

    def dense() -> None:
        with officially(['chosen_experts']):
            step()

    def naive() -> None:
        with officially(['appended_positions', SCORES]):
            step()

    ways = {'ours': step, 'dense experts': dense, 'naive attention': naive}
    device = next(model.parameters()).device
    # with peak memory: the plain forms differ more in memory than in time
    measured = interleave(ways, repeats=repeats, device=device, report=report)
    return compare(measured, 'ours')


def _step(model: torch.nn.Module, size: int) -> Callable[[], None]:
    """Returns a function that runs one training step and forgets its gradients."""
    torch.manual_seed(0)
    device = next(model.parameters()).device
    image = torch.randn(1, 3, size, size, device=device)
    sample = SegDataSample(metainfo=dict(img_shape=(size, size), ori_shape=(size, size)))
    label = torch.zeros(1, size, size, dtype=torch.long, device=device)
    label[:, size // 4 : size // 2, size // 4 :] = 1
    sample.gt_sem_seg = PixelData(data=label)

    def step() -> None:
        torch.manual_seed(1)  # the same noise in the gates: the same experts
        losses = model.loss(image, [sample])
        sum(value for key, value in losses.items() if 'loss' in key).backward()
        model.zero_grad(set_to_none=True)

    return step
