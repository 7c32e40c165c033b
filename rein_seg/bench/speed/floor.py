"""The rate of a machine's matrix products, the least time that FLOPs take, and the reference."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rein_seg.bench.speed.parts import ENCODER, HEAD
from rein_seg.heads.mask2former import Mask2FormerHead
from rein_seg.peft.methods.rein import Rein


class Product:
    """A square matrix product, called between the steps: the machine's rate at that moment.

    Args:
        device: Device of the matrices.
        dtype: Of the matrices; on a GPU float32 follows ``torch.backends.cuda.matmul``.
        side: Of the matrices; default 2048 on a CPU, 8192 on a GPU, and less on a CPU without
            instructions for the type.
        own: Multiplies with PyTorch's own library, also where the steps use oneDNN.
    """

    def __init__(
        self,
        device: torch.device,
        dtype: torch.dtype,
        *,
        side: int | None = None,
        own: bool = False,
    ) -> None:
        on_gpu = device.type == 'cuda'
        self.own = own
        self.times = 10 if on_gpu else 3
        self.dtype, self._device = dtype, device
        self._take(side or (8192 if on_gpu else 2048))
        if side is None and not on_gpu and dtype != torch.float32:
            self._shrink()

    def __call__(self) -> None:
        """Multiplies ``times`` times."""
        for _ in range(self.times):
            if self.own:  # the variant that oneDNN does not replace
                torch.mm(self._a, self._b, out=self._out)
            else:
                self._out = torch.mm(self._a, self._b)

    def _take(self, side: int) -> None:
        self.side = side
        shape, options = (side, side), dict(device=self._device, dtype=self.dtype)
        self._a, self._b = (torch.randn(shape, **options) for _ in range(2))
        self._out = torch.empty_like(self._a)

    def _shrink(self, most: float = 2.0) -> None:
        """Halves the side until a call is estimated to take at most ``most`` seconds."""
        wanted, self.times = self.side, 1
        self._take(128)
        self()
        start = time.perf_counter()
        self()
        one = time.perf_counter() - start
        self.times = 3
        while wanted > 128 and self.times * one * (wanted / 128) ** 3 > most:
            wanted //= 2
        self._take(wanted)

    def rates(self, seconds: Sequence[float]) -> list[float]:
        """Returns GFLOP/s of calls that took ``seconds``."""
        return [2e-9 * self.side**3 * self.times / each for each in seconds]


def floors(flops: Mapping[str, Mapping[str, int]], rate: float) -> dict[str, dict[str, float]]:
    """Returns ``gflop`` and ``floor_s``, the time they take at ``rate``, of encoder, head, step.

    Args:
        flops: From `count_flops`.
        rate: GFLOP/s.

    Example:
        >>> from rein_seg.bench.speed.floor import floors
        >>> floors({'encoder blocks': {'forward': 30 * 10**9, 'backward': 0}}, rate=150)['encoder']
        {'gflop': 30.0, 'floor_s': 0.2}
    """
    total = {part: sum(each.values()) for part, each in flops.items()}
    groups = {'encoder': ENCODER, 'head': HEAD, 'step': tuple(total)}
    found = {}
    for name, parts in groups.items():
        gflop = sum(total.get(part, 0) for part in parts) / 1e9
        found[name] = {'gflop': gflop, 'floor_s': gflop / rate}
    return found


@dataclass(frozen=True)
class Reference:
    """Seconds of the official formulation of Rein + Mask2Former: their median, and the best."""

    typical: float
    best: float


# DINOv2 at 512x512 (slide: 1024x512, three windows), batch 1, float32, random weights, 2 CPU cores,
# of a machine whose 2048^3 float32 product ran at 140 to 150 GFLOP/s; torch 2.13, mmcv's compiled
# operations; medians of runs without other load. Between machines compare by the rate alone.
REFERENCE_RATE = (140.0, 150.0)
REFERENCES = {
    ('train', 384): Reference(typical=6.65, best=6.3),
    ('train', 768): Reference(typical=10.0, best=10.0),
    ('window', 384): Reference(typical=2.43, best=2.36),
    ('window', 768): Reference(typical=4.2, best=4.2),
    ('slide', 384): Reference(typical=9.2, best=7.2),
    ('slide', 768): Reference(typical=12.7, best=12.7),
}


def find_reference(
    model: nn.Module, *, mode: str, size: Sequence[int], batch: int, plain: bool
) -> Reference | None:
    """Returns the reference for a target, None where none is known.

    Args:
        model: `PEFTSegmentor`.
        mode: train or predict.
        size: (H, W) of the images.
        batch: Images a step.
        plain: Whether it runs in float32 on a CPU, eager.
    """
    backbone = model.backbone
    official = isinstance(backbone.peft, Rein) and isinstance(model.decode_head, Mask2FormerHead)
    if not (official and plain and batch == 1 and backbone.anatomy.num_blocks == 12):
        return None
    work, wanted = mode, (512, 512)
    if mode == 'predict':
        slides = model.test_cfg.mode == 'slide' and tuple(size) != tuple(model.test_cfg.crop_size)
        work, wanted = ('slide', (512, 1024)) if slides else ('window', (512, 512))
    return REFERENCES.get((work, backbone.out_channels[0])) if tuple(size) == wanted else None


def against(reference: Reference, seconds: float, rate: float) -> dict[str, Any]:
    """Returns ``seconds`` of the reference scaled to a machine of ``rate``, and our ratio to it.

    Both rates are of PyTorch's own library, which the reference used. ``ratio`` is to its median at
    the middle of its rates, ``strict`` to its best time at the lowest rate.

    Example:
        >>> from rein_seg.bench.speed.floor import Reference, against
        >>> found = against(Reference(typical=6.0, best=5.0), seconds=2.9, rate=145)
        >>> round(found['ratio'], 2), round(found['strict'], 2)  # the same machine: 2.9 / 6
        (0.48, 0.6)
    """
    low, high = REFERENCE_RATE
    scaled = reference.typical * (low + high) / 2 / rate
    return {
        'seconds': reference.typical,
        'scaled_s': scaled,
        'ratio': seconds / scaled,
        'strict': seconds / (reference.best * low / rate),
    }
