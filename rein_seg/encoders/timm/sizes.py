"""Sizes of images that a timm network of stages takes, found by running it without values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from rein_seg.encoders.timm.build import create_timm
from rein_seg.errors import UserError

Size = tuple[int, int]  # height and width in pixels

TAKES = (
    'TimmStages takes models that timm builds with features_only=True, such as tf_efficientnet_'
    'lite0, resnet50, convnext_tiny, swin_tiny_patch4_window7_224, pvt_v2_b2, sam2_hiera_tiny'
)
_STEPS = (4, 32, 64, 128, 256)  # of patches, and of windows times the last stride


def create_sized(
    name: str, img_size: int | Sequence[int] | None, args: Mapping[str, Any], **more: Any
) -> nn.Module:
    """Builds a model of timm without weights, for images of ``img_size`` where it has one size.

    Args:
        name: timm's name.
        img_size: Side of the images, or (H, W); models of any size take no notice of it.
        args: Arguments of the timm model that a config gave.
        **more: Further arguments, such as ``features_only``.

    Raises:
        UserError: If timm has no such model, or cannot build it so.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.timm.sizes import create_sized
        >>> with torch.device('meta'):
        ...     model = create_sized('hiera_tiny_224', (128, 64), {})
        >>> model.pos_embed.shape
        torch.Size([1, 512, 96])
    """
    given = {**args} if img_size is None else {**args, 'img_size': img_size}
    # each goes to the models that take it; the first lets Swin take other sizes, too
    sizes: dict[str, Any] = {'strict_img_size': False}
    if img_size is not None:
        sizes['img_size'] = img_size if isinstance(img_size, int) else tuple(img_size)
    while True:
        try:
            return create_timm(name, {**args, **sizes, **more}, given=given, takes=TAKES)
        except UserError as error:
            _, _, refused = str(error).partition('unexpected keyword argument')
            foreign = [word for word in sizes if f"'{word}'" in refused]
            if not foreign:
                raise
            del sizes[foreign[0]]


class StageSizes:
    """Tells which sizes of images a network of stages takes.

    A network with positions or windows of one size takes the size it was built for. Any other
    network is run once for each new size, without values.

    Args:
        name: timm's name.
        network: timm's network of stages.
        img_size: Size it was built for, or None for the model's own.
        args: Further arguments of the timm model.

    Attributes:
        native: (H, W) of the images of its published weights.
        built: (H, W) of a network that takes one size only, else None.

    Example:
        >>> import timm
        >>> from rein_seg.encoders.timm.sizes import StageSizes
        >>> dla = timm.create_model('dla34', features_only=True)
        >>> StageSizes('dla34', dla, None, {}).check((500, 333))
        Traceback (most recent call last):
        rein_seg.errors.UserError: timm model 'dla34' takes no images of (500, 333) (height, width):
        resize, crop or pad to (512, 352)
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        img_size: int | Sequence[int] | None,
        args: Mapping[str, Any],
    ) -> None:
        self.name, self.img_size, self.args = name, img_size, dict(args)
        self.levels = tuple(network.feature_info.out_indices)  # which an argument may have cut
        published = network.pretrained_cfg
        self.native = as_size(published['input_size'][-2:])
        one_size = published.get('fixed_input_size') and not _takes_any(network)
        self.built = as_size(img_size or self.native) if one_size else None
        self._fits: dict[Size, bool] = {}

    def check(self, size: Sequence[int]) -> None:
        """Checks that the network takes images of a size.

        Args:
            size: (H, W) in pixels.

        Raises:
            UserError: If it does not; the message names the nearest size that would do.
        """
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return  # a model built here would become a part of the graph
        wanted = as_size(size)
        if self.built is None and not self.fits(wanted):
            near = self.nearest(wanted)
            raise UserError(
                f'timm model {self.name!r} takes no images of {wanted} (height, width): resize, '
                f'crop or pad to {near}'
            )
        if self.built is not None and wanted != self.built:
            raise UserError(
                f'timm model {self.name!r} is built for images of {self.built} (height, width), '
                f'not {wanted}: resize or crop to it, or set encoder.img_size='
                f'{list(self.nearest(wanted))}'
            )

    def check_built(self) -> None:
        """Checks that a network of one size runs at the size it was built for.

        Raises:
            UserError: If it does not; the message names the nearest size that would do.
        """
        if self.built is not None and not self.fits(self.built):
            raise UserError(
                f'timm model {self.name!r} takes no img_size={list(self.built)} (height, width): '
                f'set encoder.img_size={list(self.nearest(self.built))}'
            )

    def fits(self, size: Size) -> bool:
        """Returns whether the network, built for a size where it has one, takes such images."""
        if size not in self._fits:
            built = size if self.built else self.img_size
            self._fits[size] = _runs(self.name, built, self.args, size, self.levels)
        return self._fits[size]

    def nearest(self, size: Size) -> Size:
        """Returns a size near ``size`` that the network takes, its native size at worst."""
        return next((near for near in _candidates(size) if self.fits(near)), self.native)


def check_buildable(
    name: str, img_size: int | Sequence[int] | None, args: Mapping[str, Any]
) -> None:
    """Checks that a model which cannot be built for ``img_size`` cannot be built without it either.

    Args:
        name: timm's name.
        img_size: Side of the images, or (H, W).
        args: Further arguments of the timm model.

    Raises:
        UserError: If the size is at fault; the message names the nearest size that would do.

    Example:
        >>> from rein_seg.encoders.timm.sizes import check_buildable
        >>> check_buildable('hiera_tiny_224', (500, 500), {})
        Traceback (most recent call last):
        rein_seg.errors.UserError: timm model 'hiera_tiny_224' takes no img_size=[500, 500] (height,
        width): set encoder.img_size=[512, 512]
    """
    if img_size is None:
        return
    try:
        with torch.device('meta'):
            network = create_sized(name, None, args, features_only=True)
    except UserError:
        return
    StageSizes(name, network, img_size, args).check_built()


def as_size(size: int | Sequence[int]) -> Size:
    """Returns (H, W) of a side, or of two sides.

    Example:
        >>> from rein_seg.encoders.timm.sizes import as_size
        >>> as_size(512), as_size([512, 1024])
        ((512, 512), (512, 1024))
    """
    if isinstance(size, int):
        return size, size
    height, width = (int(side) for side in size)
    return height, width


def _runs(
    name: str,
    img_size: int | Sequence[int] | None,
    args: Mapping[str, Any],
    size: Size,
    levels: tuple[int, ...],
) -> bool:
    """Returns whether a network of stages can be built for ``img_size``, and runs at ``size``."""
    try:
        with torch.device('meta'), torch.no_grad():
            asked = dict(features_only=True, out_indices=levels)
            network = create_sized(name, img_size, args, **asked).eval()
            if not any(isinstance(module, nn.RNNBase) for module in network.modules()):
                network(torch.zeros(1, _bands(network), *size))  # a meta RNN takes minutes
    except NotImplementedError:  # it reads values: no error of the size
        return True
    except (AssertionError, RuntimeError, ValueError, IndexError, TypeError):
        return False
    return True


def _bands(network: nn.Module) -> int:
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    return first.in_channels


def _takes_any(network: nn.Module) -> bool:
    return any(getattr(module, 'strict_img_size', None) is False for module in network.modules())


def _candidates(size: Size) -> Iterator[Size]:
    """Yields larger sizes that are multiples of windows; some networks take squares only."""
    for step in _STEPS:
        yield _up(size[0], step), _up(size[1], step)
        yield _up(max(size), step), _up(max(size), step)


def _up(side: int, step: int) -> int:
    return math.ceil(side / step) * step
