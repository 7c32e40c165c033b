"""Adapts the first layer of an encoder to images of 1 to 12 bands.

N bands, C output channels of the layer, k x k its kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rein_seg.bands import MOST_BANDS, short_list
from rein_seg.errors import UserError, near_misses
from rein_seg.structures import Anatomy, OpSite

STORED = 'stored'
RULES = ('repeat', 'average', STORED)
_KEYS = ('names', 'first_layer', 'train_input')
_RGB = 3
_FIRST_ROLES = ('patch', 'stem')


@dataclass(frozen=True)
class InputBands:
    """The bands that an encoder takes in place of red, green and blue.

    Attributes:
        names: Of the N bands, in the order of the input's channels.
        first_layer: How the first layer's weights of three channels become weights of N:
            ``repeat`` or ``average``, see `adapt_weight`; ``stored``: the weights file has N.
        train_input: Whether the first layer trains beside the method.

    Example:
        >>> from rein_seg.encoders.bands import InputBands
        >>> InputBands.of(dict(names=['red', 'green', 'blue', 'nir'])).first_layer
        'repeat'
    """

    names: tuple[str, ...]
    first_layer: str = 'repeat'
    train_input: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= MOST_BANDS:
            raise UserError(f'bands.names has {len(self.names)} names: expected 1 to {MOST_BANDS}')
        if self.first_layer not in RULES:
            raise UserError(
                f'bands.first_layer={self.first_layer!r}; {near_misses(self.first_layer, RULES)}'
            )

    @classmethod
    def of(cls, described: Mapping[str, Any] | InputBands | None) -> InputBands | None:
        """Returns the bands of an encoder's config, None for RGB.

        Raises:
            UserError: If a key or the rule is unknown, or there are no names or too many.
        """
        if described is None or isinstance(described, InputBands):
            return described
        for key in described:
            if key not in _KEYS:
                raise UserError(
                    f'bands of the encoder has a key {key!r}; {near_misses(key, _KEYS)}'
                )
        return cls(**{**described, 'names': tuple(described.get('names') or ())})

    @property
    def identity(self) -> dict[str, Any]:
        """What an adapter's encoder must share: the bands, and how its weights were made."""
        return {'names': list(self.names), 'first_layer': self.first_layer}


def adapt_weight(weight: Tensor, count: int, rule: str = 'repeat') -> Tensor:
    """Returns the (C, N, k, k) weight of N bands from the (C, 3, k, k) weight of RGB.

    One band gets the sum over red, green and blue. More bands get, with ``repeat``, the weights of
    red, green, blue, red, ... times 3 / N; with ``average`` all the mean of the three times 3 / N.
    So an image whose bands are all equal gives the same output as before. Three bands keep the
    weights.

    Args:
        weight: (C, 3, k, k).
        count: N.
        rule: ``repeat`` or ``average``.

    Source: the rule of timm's ``adapt_input_conv`` (Wightman, PyTorch Image Models); ``average``
        beside it is the usual variant for bands that are no colours.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.bands import adapt_weight
        >>> weight = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
        >>> [round(x, 4) for x in adapt_weight(weight, 5).flatten().tolist()]
        [0.6, 1.2, 1.8, 0.6, 1.2]
        >>> adapt_weight(weight, 1).flatten().tolist()
        [6.0]
    """
    if count == _RGB and rule == 'repeat':
        return weight.clone()
    values = weight.float()
    if count == 1:
        return values.sum(1, keepdim=True).to(weight.dtype)
    if rule == 'average':
        spread = values.mean(1, keepdim=True).repeat(1, count, 1, 1)
    else:
        spread = values.repeat(1, -(-count // _RGB), 1, 1)[:, :count]
    return (spread * (_RGB / count)).to(weight.dtype)


def first_layer(anatomy: Anatomy) -> OpSite:
    """Returns the convolution that the image enters: its site of role patch or stem.

    Args:
        anatomy: Of the encoder.

    Raises:
        UserError: If the anatomy has no such site, or several.
    """
    convs = [
        site
        for site in anatomy.sites
        if isinstance(site, OpSite) and isinstance(site.tap.module, nn.Conv2d)
    ]
    found = [
        site for site in convs
        if site.role in _FIRST_ROLES
        and site.module.groups == 1 and site.module.in_channels == _RGB
    ]  # fmt: skip
    modules = {id(site.module) for site in found}
    if len(modules) != 1:
        roles = ' or '.join(_FIRST_ROLES)
        raise UserError(
            f'the first layer of the {anatomy.family!r} encoder cannot be adapted to other bands: '
            f'expected one convolution of 3 channels with the role {roles} in its anatomy, found '
            f'{len(modules)}; take an encoder that has it, such as vit_tiny, or images in RGB'
        )
    return found[0]


def adapt_first_layer(anatomy: Anatomy, bands: InputBands) -> None:
    """Gives an encoder's first layer the channels of other bands, in place.

    Args:
        anatomy: Of the encoder, with its weights; without them for ``stored``.
        bands: The bands.

    Raises:
        UserError: As `first_layer`.

    Example:
        >>> import torch
        >>> from rein_seg.encoders import build_encoder
        >>> bands = dict(names=['red', 'green', 'blue', 'nir', 'height'])
        >>> cfg = dict(type='TinyViT', init_seed=0, mean=[0] * 5, std=[1] * 5, bands=bands)
        >>> encoder, _ = build_encoder(cfg)
        >>> encoder(torch.zeros(1, 5, 32, 32))[0].shape
        torch.Size([1, 192, 4, 4])
    """
    conv = first_layer(anatomy).module
    assert isinstance(conv, nn.Conv2d)
    count = len(bands.names)
    with torch.no_grad():
        if bands.first_layer == STORED:  # the file fills it
            weight = conv.weight.new_zeros(conv.out_channels, count, *conv.kernel_size)
        else:
            weight = adapt_weight(conv.weight, count, bands.first_layer)
    conv.weight = nn.Parameter(weight, requires_grad=conv.weight.requires_grad)
    conv.in_channels = count


def input_parameters(anatomy: Anatomy, names: Sequence[str]) -> list[nn.Parameter]:
    """Returns weight and bias of the adapted first layer.

    Args:
        anatomy: Of the encoder.
        names: Of its bands.

    Raises:
        UserError: If no convolution of the anatomy takes as many channels.
    """
    for site in anatomy.sites:
        if isinstance(site, OpSite) and site.role in _FIRST_ROLES:
            conv = site.tap.module
            if isinstance(conv, nn.Conv2d) and conv.in_channels == len(names):
                return list(conv.parameters(recurse=False))
    raise UserError(f'the {anatomy.family!r} encoder has no first layer of {short_list(names)}')
