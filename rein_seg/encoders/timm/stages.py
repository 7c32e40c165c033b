"""Networks of timm that have stages, by name: convolutional networks, Swin, PVT, MaxViT, Hiera.

B batch, C_i, H_i, W_i channels and size of the map of stage i.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.checks import check_image_size, check_listed, check_out_indices
from rein_seg.encoders.timm.build import (
    fetch_timm,
    join_biases,
    normalisation,
    published_cfg,
)
from rein_seg.encoders.timm.sizes import TAKES, StageSizes, check_buildable, create_sized
from rein_seg.errors import UserError

_OURS = ('features_only', 'out_indices', 'pretrained', 'img_size')
_MOST = 4  # maps by default: heads and necks take four


@MODELS.register_module()
class TimmStages(nn.Module):
    """Stage outputs of a timm network, as maps (B, C, H, W) whatever its own layout.

    Args:
        model: timm's name, such as ``tf_efficientnet_lite0``.
        img_size: Side of the images, or (H, W), for networks with weights or windows of one size;
            others take no notice of it. None keeps the model's.
        out_indices: Stages whose outputs are returned, as timm counts them; default: the last
            four, or all if there are fewer.
        model_args: Further arguments of the timm model.

    Attributes:
        model: timm's network without its head.
        out_channels: C_i of each map.
        out_strides: Stride in pixels of each map.
        sizes: The sizes of images that it takes.

    Shapes:
        (B, 3, H, W) normalised image -> (B, C_i, H_i, W_i) for each of ``out_indices``.

    Raises:
        UserError: If timm has no such model or argument, the model has no stages, timm does not
            take it apart into stages, it does not run at ``img_size``, or a stage does not exist.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.timm import TimmStages
        >>> encoder = TimmStages('resnet18')
        >>> encoder.out_indices, encoder.out_strides
        ((1, 2, 3, 4), (4, 8, 16, 32))
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 96))]
        [(1, 64, 16, 24), (1, 128, 8, 12), (1, 256, 4, 6), (1, 512, 2, 3)]
    """

    def __init__(
        self,
        model: str,
        img_size: int | Sequence[int] | None = None,
        *,
        out_indices: Sequence[int] | None = None,
        model_args: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_listed('out_indices', out_indices, unit='stages')
        if img_size is not None:
            check_image_size(img_size, 1)
        self.model_name, self.img_size = model, img_size
        self.model_args = dict(model_args or {})
        self.image = nn.Identity()  # where a method sees the size of the image
        self.model = build_stages(model, img_size, self.model_args, out_indices)
        self.sizes = StageSizes(model, self.model, img_size, self.model_args)
        if img_size is not None:
            self.sizes.check_built()
        info = self.model.feature_info
        built = tuple(info.out_indices)  # maps that the network gives
        self.out_indices = tuple(out_indices) if out_indices is not None else built[-_MOST:]
        self._chosen = tuple(built.index(index) for index in self.out_indices)
        self.out_channels = tuple(info.channels()[i] for i in self._chosen)
        self.out_strides = tuple(info.reduction()[i] for i in self._chosen)
        self.pretrained_cfg = published_cfg(self.model)
        self.image_mean, self.image_std = normalisation(self.pretrained_cfg)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Returns the maps of the chosen stages."""
        maps = self.model(self.image(image))
        return tuple(self._channels_first(maps[i]) for i in self._chosen)

    def reset_parameters(self) -> None:
        """Draws random weights by timm's rule for the model.

        Layers' own defaults shrink maps from layer to layer, if batch norms keep their statistics.
        """
        drawn = build_stages(self.model_name, self.img_size, self.model_args, self.out_indices)
        self.model.load_state_dict(drawn.state_dict())
        for module in self.model.modules():
            # timm starts some branches at zero: in a frozen network they would stay so
            norm = isinstance(module, (nn.LayerNorm, nn.BatchNorm2d)) and module.weight is not None
            if norm and not module.weight.any():
                nn.init.ones_(module.weight)

    def fetch_pretrained(self) -> str:
        """Returns the path of the model's published weights; downloads them on first use.

        Raises:
            UserError: If timm names none, or they cannot be had.
        """
        return fetch_timm(self.model_name, self.pretrained_cfg)

    @property
    def channels_last(self) -> bool:
        """Whether timm's network gives (B, H, W, C)."""
        return str(getattr(self.model, 'output_fmt', 'NCHW')).endswith('NHWC')

    def _channels_first(self, out: Tensor) -> Tensor:
        return out.permute(0, 3, 1, 2) if self.channels_last else out


def build_stages(
    name: str,
    img_size: int | Sequence[int] | None,
    args: Mapping[str, Any],
    out_indices: Sequence[int] | None,
) -> nn.Module:
    """Builds timm's network of stages, up to the last of ``out_indices``, without weights.

    Raises:
        UserError: See `TimmStages`.

    Example:
        >>> from rein_seg.encoders.timm.stages import build_stages
        >>> build_stages('resnet18', None, {}, [1, 2]).feature_info.channels()
        [64, 64, 128]
    """
    ours = [key for key in _OURS if key in args]
    if ours:
        raise UserError(
            f'encoder.model_args={dict(args)}: {ours[0]} is not for model_args; give '
            'encoder.out_indices and encoder.img_size instead'
        )
    asked = {} if out_indices is None else {'out_indices': tuple(range(out_indices[-1] + 1))}
    try:
        network = create_sized(name, img_size, args, features_only=True, **asked)
    except UserError:
        check_buildable(name, img_size, args)
        if asked:  # tell a stage that does not exist from other mistakes
            with torch.device('meta'):
                whole = create_sized(name, img_size, args, features_only=True)
            _check_stages(name, whole, out_indices)
        raise
    _check_stages(name, network, out_indices)
    for part in network.modules():
        join_biases(part)
    return network


def _check_stages(name: str, network: nn.Module, out_indices: Sequence[int] | None) -> None:
    levels = network.feature_info.info
    levels = levels if isinstance(levels, (list, tuple)) else network.feature_info.get_dicts()
    strides = {level['reduction'] for level in levels}
    if len(strides) < 2:
        raise UserError(
            f'timm model {name!r} has no stages: all its maps have stride {min(strides)}; for a '
            f"plain vision transformer use type='TimmEncoder'. {TAKES}"
        )
    if out_indices is not None:
        check_out_indices(out_indices, len(levels), unit='stages')
