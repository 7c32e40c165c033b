"""The description of a built encoder: name, weights, arguments, normalisation of its images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import nn

from rein_seg.encoders.bands import InputBands
from rein_seg.registry import registered_name, with_defaults

# of ImageNet, which DINOv2, EVA02 in Rein's recipe, SAM and ConvNeXt use; 0..255 RGB
DEFAULT_MEAN = (123.675, 116.28, 103.53)
DEFAULT_STD = (58.395, 57.12, 57.375)


@runtime_checkable
class Published(Protocol):
    """An encoder that knows its published weights and the normalisation of their images.

    Attributes:
        image_mean: RGB, 0..255.
        image_std: RGB, 0..255.
    """

    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]

    def fetch_pretrained(self) -> str:
        """Returns the path of the published weights; downloads them on first use."""


@dataclass(frozen=True)
class EncoderInfo:
    """The description of a built encoder.

    Attributes:
        name: Its name in results.
        weights: ``sha256:...`` of the loaded tensors, ``random:seed=...``, or ``none: ...``.
        config: Its class and arguments.
        mean: Mean of the images it was trained on, RGB, 0..255; of each band, if it has bands.
        std: Their standard deviation, RGB, 0..255; of each band, if it has bands.
        bands: The bands that it takes in place of RGB, or None.
    """

    name: str
    weights: str
    config: dict[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = DEFAULT_MEAN
    std: tuple[float, ...] = DEFAULT_STD
    bands: InputBands | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Weights, architecture and normalisation: an adapter fits an encoder with the same."""
        return {
            'weights': self.weights,
            'config': self.config,
            'mean': list(self.mean),
            'std': list(self.std),
            **({} if self.bands is None else {'bands': self.bands.identity}),
        }


def describe(encoder: nn.Module, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an encoder's registered name and all its arguments, defaults included.

    Adapters are compared by it, so configs that build the same encoder must have the same
    description. Defaults that depend on other arguments are read from the encoder.

    Args:
        encoder: The encoder.
        options: Arguments that its config gives.

    Example:
        >>> from rein_seg.encoders.info import describe
        >>> from rein_seg.encoders.plain_vit import TinyViT
        >>> described = describe(TinyViT(img_size=64), dict(img_size=64))
        >>> [described[key] for key in ('type', 'img_size', 'patch_size', 'out_indices')]
        ['rein_seg.TinyViT', [64, 64], 8, [1, 3, 5, 7]]
    """
    described = {'type': registered_name(type(encoder)), **with_defaults(type(encoder), options)}
    for name, value in described.items():
        derived = getattr(encoder, name, None) if value is None else None
        if isinstance(derived, (bool, int, float, str, list, tuple, dict)):
            described[name] = derived
        if name == 'img_size' and isinstance(value, int):  # a side and a square are the same
            described[name] = [value, value]
    # an adapter stores it as JSON, and is compared with it
    return json.loads(json.dumps(described, default=str))
