"""How timm itself reads the weights file of each model: the options of its filters."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

# C-RADIOv3 B and H resize positions with aligned corners; L, g and version 4 do not
_ALIGNED = ('base_patch16_radio_v3', 'huge_patch16_radio_v3')
# names that timm's files give to their filters
_NAMES = ('checkpoint_filter_fn', '_filter_fn', '_filter_torchvision_pretrained')


def timm_filter(reference: nn.Module, name: str) -> Callable[..., Any]:
    """Returns timm's function (state dict, model) -> state dict for a model.

    Args:
        reference: The model as timm builds it.
        name: timm's name of it, which decides about the resizing of positions.
    """
    function = sys.modules[type(reference).__module__].checkpoint_filter_fn
    return partial(function, **filter_options(name))


def family_filter(name: str) -> Callable[..., Any] | None:
    """Returns timm's function (state dict, model) -> state dict for any model.

    Args:
        name: timm's name.

    Returns:
        None for a model that reads timm's own names only.

    Example:
        >>> from rein_seg.encoders.timm.filters import family_filter
        >>> family_filter('pvt_v2_b0').__name__, family_filter('resnet18')
        ('checkpoint_filter_fn', None)
    """
    from timm.models import model_entrypoint

    module = sys.modules[model_entrypoint(name.partition('.')[0]).__module__]
    found = next((vars(module)[key] for key in _NAMES if key in vars(module)), None)
    if found is None or len(inspect.signature(found).parameters) > 1:
        return found
    return lambda state, model: found(state)


def filter_options(name: str) -> dict[str, Any]:
    """Returns the options that timm's constructor of a model gives its filter.

    Example:
        >>> from rein_seg.encoders.timm.filters import filter_options
        >>> filter_options('deit3_small_patch16_224'), filter_options('eva02_tiny_patch14_224')
        ({'adapt_layer_scale': True}, {})
    """
    if name.startswith('deit3'):
        return dict(adapt_layer_scale=True)
    if 'radio' in name:
        aligned = any(part in name for part in _ALIGNED)
        return dict(interpolation='bilinear', antialias=False, align_corners=aligned)
    if 'flexi' in name:
        return dict(interpolation='bilinear', antialias=False)
    return {}
