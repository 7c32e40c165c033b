"""Builds models of timm by name; timm itself is imported when the first one is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from rein_seg.encoders.locate import locate
from rein_seg.errors import UserError, near_misses

_ERRORS = (TypeError, AssertionError, ValueError, RuntimeError, IndexError, AttributeError)
NORMALISATION = tuple[tuple[float, ...], tuple[float, ...]]


def create_timm(name: str, args: Mapping[str, Any], *, given: Mapping[str, Any], takes: str) -> Any:
    """Builds a model of timm without weights.

    Args:
        name: timm's name.
        args: Arguments of ``timm.create_model``.
        given: Those of them that a config gave, for the message.
        takes: A sentence for the message: the models that the caller can use.

    Raises:
        UserError: If timm has no such model, or cannot build it with these arguments.

    Example:
        >>> from rein_seg.encoders.timm.build import create_timm
        >>> create_timm('resnet19', {}, given={}, takes='')
        Traceback (most recent call last):
        rein_seg.errors.UserError: timm ... has no model 'resnet19'; did you mean ...
    """
    import timm

    if not isinstance(name, str) or not timm.is_model(name):
        hint = near_misses(str(name), timm.list_models(pretrained=False))
        raise UserError(f'timm {timm.__version__} has no model {name!r}; {hint}')
    try:
        return timm.create_model(name, pretrained=False, **args)
    except _ERRORS as error:
        raise UserError(
            f'timm model {name!r} cannot be built with {dict(given)}: {error}. {takes}'
        ) from error


def normalisation(published: Mapping[str, Any]) -> NORMALISATION:
    """Returns mean and deviation of a model's training images, RGB, 0..255.

    Args:
        published: The model's ``pretrained_cfg``.

    Example:
        >>> from rein_seg.encoders.timm.build import normalisation
        >>> normalisation(dict(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)))
        ((127.5, 127.5, 127.5), (51.0, 51.0, 51.0))
    """
    mean, std = (tuple(round(255 * v, 3) for v in published[key]) for key in ('mean', 'std'))
    return mean, std


def fetch_timm(name: str, published: Mapping[str, Any]) -> str:
    """Returns the path of a model's published weights; downloads them on first use.

    Args:
        name: timm's name.
        published: The model's ``pretrained_cfg``.

    Raises:
        UserError: If timm names none, or they cannot be had.

    Example:
        >>> from rein_seg.encoders.timm.build import fetch_timm
        >>> fetch_timm('resnet18', {})
        Traceback (most recent call last):
        rein_seg.errors.UserError: timm model 'resnet18' has no weights on the hub: give
        checkpoint=FILE
    """
    hub_id, file = published.get('hf_hub_id'), published.get('hf_hub_filename')
    address = f'hf:{hub_id}' + (f'/{file}' if file else '') if hub_id else published.get('url')
    if not address:
        raise UserError(f'timm model {name!r} has no weights on the hub: give checkpoint=FILE')
    return locate(address, what=f'timm model {name!r}')


def published_cfg(model: nn.Module) -> dict[str, Any]:
    """Returns the description that timm keeps of a model's published weights."""
    found = getattr(model, 'pretrained_cfg', None)
    return dict(found.to_dict() if hasattr(found, 'to_dict') else found or {})


def join_biases(attention: nn.Module) -> None:
    """Makes the separate biases of q and v into one bias of qkv, zero for k.

    That computes the same, and a hook on qkv then sees its whole output.

    Args:
        attention: Attention of timm; it stays as it is if it has no such biases.
    """
    if getattr(attention, 'qkv', None) is None or getattr(attention, 'q_bias', None) is None:
        return
    fused = attention.qkv
    joined = nn.Linear(fused.in_features, fused.out_features, device='meta')
    joined.weight = fused.weight
    biases = (attention.q_bias, attention.k_bias, attention.v_bias)
    joined.bias = nn.Parameter(torch.cat(biases).detach())
    attention.qkv = joined
    attention.q_bias = attention.k_bias = attention.v_bias = None
