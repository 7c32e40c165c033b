"""ConvNeXt v1 and v2 of mmpretrain, timm and torchvision: stages of (B, C, H, W) maps, no tokens.

A block is depthwise 7x7 -> norm -> fc1 -> GELU -> fc2 -> LayerScale -> residual sum; inside, the
map is NHWC when the pointwise convolutions are linears (the default) and NCHW otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from rein_seg.encoders.checks import check_out_indices
from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.encoders.weights import HEADS, Converted, fill_output_norms, rename
from rein_seg.registry import register_anatomy, register_key_map
from rein_seg.structures import Anatomy, BranchSite, Layout, Side, Site, StreamSite, Tap

_NAME = 'mmpretrain.ConvNeXt'
_OFFICIAL = (
    (r'\.dwconv\.', '.depthwise_conv.'),
    (r'\.pwconv([12])\.', r'.pointwise_conv\1.'),
)


@dataclass(frozen=True)
class _Names:
    """Names of the modules of a library's ConvNeXt.

    {s} is a stage, {b} a block in it, {even} and {odd} are 2 s and 2 s + 1.
    """

    block: str
    stem: tuple[str, str]  # convolution, norm
    merging: tuple[str, str]  # norm, convolution
    dw: str
    norm: str
    fc1: str
    fc2: str
    drop_path: str


_MMPRETRAIN = _Names(
    'stages.{s}.{b}',
    ('downsample_layers.0.0', 'downsample_layers.0.1'),
    ('downsample_layers.{s}.0', 'downsample_layers.{s}.1'),
    *('depthwise_conv', 'norm', 'pointwise_conv1', 'pointwise_conv2', 'drop_path'),
)
_TIMM = _Names(
    'stages.{s}.blocks.{b}',
    ('stem.0', 'stem.1'),
    ('stages.{s}.downsample.0', 'stages.{s}.downsample.1'),
    *('conv_dw', 'norm', 'mlp.fc1', 'mlp.fc2', 'drop_path'),
)
_TIMM_FEATURES = replace(
    _TIMM,
    block='stages_{s}.blocks.{b}',
    stem=('stem_0', 'stem_1'),
    merging=('stages_{s}.downsample.0', 'stages_{s}.downsample.1'),
)
_TORCHVISION = _Names(
    'features.{odd}.{b}',
    ('features.0.0', 'features.0.1'),
    ('features.{even}.0', 'features.{even}.1'),
    *('block.0', 'block.2', 'block.3', 'block.5', 'stochastic_depth'),
)


@register_anatomy(_NAME)
def convnext_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a mmpretrain `ConvNeXt`.

    Raises:
        UserError: If ``out_indices`` goes beyond the stages.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> cfg = dict(type='mmpretrain.ConvNeXt', arch='tiny', gap_before_final_norm=False)
        >>> encoder, _ = build_encoder({**cfg, 'out_indices': [0, 1, 2, 3], 'init_seed': 0})
        >>> anatomy = find_anatomy(encoder)
        >>> anatomy.stage_depths, anatomy.out_channels
        ((3, 3, 9, 3), (96, 192, 384, 768))
    """
    stages = check_out_indices(encoder.out_indices, encoder.num_stages, unit='stages')
    depths = tuple(encoder.depths[: stages[-1] + 1])  # no site beyond the last output
    later = range(len(depths), encoder.num_stages)
    unused = tuple(f'downsample_layers.{stage}.' for stage in later)
    anatomy = _anatomy(encoder, _MMPRETRAIN, depths, unused=unused, outputs=stages)
    if encoder.gap_before_final_norm:
        reason = 'encoder.gap_before_final_norm=True gives vectors, not maps: set it to False'
        return replace(anatomy, no_maps=reason)
    return anatomy


@register_anatomy('timm.ConvNeXt')
def timm_convnext_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a ConvNeXt as timm builds it; its classifier has no sites.

    Example:
        >>> import timm
        >>> from rein_seg.encoders import find_anatomy
        >>> sizes = dict(depths=(1, 1, 2, 1), dims=(8, 8, 16, 16))
        >>> find_anatomy(timm.create_model('convnext_tiny', **sizes)).stage_depths
        (1, 1, 2, 1)
    """
    depths = tuple(len(stage.blocks) for stage in encoder.stages)
    return _anatomy(encoder, _TIMM, depths, unused=('head.',))


def timm_features_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a ConvNeXt of timm with ``features_only=True``."""
    stages = [part for name, part in encoder.named_children() if name.startswith('stages_')]
    return _anatomy(
        encoder, _TIMM_FEATURES, tuple(len(stage.blocks) for stage in stages), unused=()
    )


@register_anatomy('torchvision.ConvNeXt')
def torchvision_convnext_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a ConvNeXt as torchvision builds it; its classifier has no sites."""
    depths = tuple(len(encoder.features[i]) for i in range(1, len(encoder.features), 2))
    return _anatomy(encoder, _TORCHVISION, depths, unused=('classifier.',))


def _anatomy(
    encoder: nn.Module,
    names: _Names,
    depths: tuple[int, ...],
    *,
    unused: tuple[str, ...],
    outputs: Sequence[int] | None = None,
) -> Anatomy:
    """Returns the anatomy of the first stages; ``outputs`` have norms of their own."""
    places: dict[str, Place] = {}
    around: dict[str, Place] = {}  # modules beside the blocks, in the same list
    channels = []
    for stage, depth in enumerate(depths):
        width = encoder.get_submodule(f'{_block(names, stage, 0)}.{names.dw}').out_channels
        channels.append(width)
        for index in range(depth):
            places[_block(names, stage, index)] = (len(places), stage, index, width)
        for name in _before(names, stage):
            if name.split('.')[0] == names.block.split('.')[0]:
                around[name] = (-1, stage, -1, width)
    stem = int(encoder.get_submodule(names.stem[0]).stride[0])
    sites: list[Site] = [*param_sites(encoder, {**places, **around}, unused=unused)]
    for stage, width in enumerate(channels):
        sites += _downsample_sites(encoder, names, stage, width)
        for name, place in places.items():
            if place[1] == stage:
                sites += _block_sites(encoder, names, name, place)
        if stage in (outputs or ()):
            place = (-1, stage, -1, width)
            sites.append(norm_site(encoder, f'norm{stage}', 'final', place, layout='NCHW'))
    given = range(len(depths)) if outputs is None else outputs
    return Anatomy(
        family='convnext',
        sites=tuple(sites),
        num_prefix=0,
        patch_size=stem,
        out_channels=tuple(channels[s] for s in given),
        out_strides=tuple(stem * 2**s for s in given),
        stage_depths=depths,
        stage_channels=tuple(channels),
    )


@register_key_map(_NAME)
def convnext_weights(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Takes official files (facebookresearch's ConvNeXt and V2) and mmpretrain's own.

    A classifier's file has one final norm, for the last stage. The norms of the other outputs,
    norm0 to norm2, start as ones and zeros, as in the reference (its loading is not strict), and
    are reported as filled. A segmentation model's file has all norms. Heads are left out.
    """
    tensors = rename(state, ((r'^(module\.)?(backbone\.)?', ''), *_OFFICIAL))
    own = encoder.state_dict()
    last = f'norm{encoder.num_stages - 1}'
    if f'{last}.weight' not in tensors:
        tensors = rename(tensors, ((r'^norm\.', f'{last}.'),))
    known = (*HEADS, 'mask_token', 'decoder.', f'{last}.')
    unused = [name for name in tensors if name not in own and name.startswith(known)]
    for name in unused:
        del tensors[name]
    for name, tensor in tensors.items():
        # grn is (1, 1, 1, C) officially; pointwise weights are of linears or of convolutions
        if name in own and tensor.numel() == own[name].numel() and '.grn.' in name:
            tensors[name] = tensor.reshape(own[name].shape)
        elif name in own and re.search(r'pointwise_conv[12]\.weight$', name):
            tensors[name] = _pointwise(tensor, own[name].dim())
    filled = fill_output_norms(tensors, own, last)
    return Converted(tensors, left_out=tuple(sorted(unused)), filled=filled)


def _pointwise(weight: Tensor, dims: int) -> Tensor:
    if dims == weight.dim():
        return weight
    return weight[:, :, None, None] if dims == 4 else weight.flatten(1)


def _block(names: _Names, stage: int, index: int) -> str:
    return _fill(names.block, stage).format(b=index)


def _fill(name: str, stage: int) -> str:
    return name.format(s=stage, even=2 * stage, odd=2 * stage + 1, b='{b}')


def _before(names: _Names, stage: int) -> list[str]:
    """Returns the stem (convolution, norm), or what merges patches (norm, convolution)."""
    return [_fill(name, stage) for name in (names.stem if stage == 0 else names.merging)]


def _downsample_sites(encoder: nn.Module, names: _Names, stage: int, channels: int) -> list[Site]:
    place = (-1, stage, -1, channels)
    role = 'patch' if stage == 0 else 'merge'
    sites: list[Site] = []
    for path in _before(names, stage):
        module = encoder.get_submodule(path)
        if isinstance(module, nn.Conv2d):
            sites.append(op_site(encoder, path, role, place))
        elif getattr(module, 'weight', None) is not None:
            sites.append(norm_site(encoder, path, role, place, layout='NCHW'))
    return sites


def _block_sites(encoder: nn.Module, names: _Names, name: str, place: Place) -> list[Site]:
    block = encoder.get_submodule(name)
    linear = isinstance(block.get_submodule(names.fc1), nn.Linear)
    inner: Layout = 'NHWC' if linear else 'NCHW'

    def tap(path: str, side: Side, layout: Layout = 'NCHW') -> Tap:
        return Tap(block.get_submodule(path) if path else block, side, layout)

    return [
        StreamSite(*place, 'in', (tap('', 'input'),)),
        op_site(encoder, f'{name}.{names.dw}', 'dw', place, layout='NCHW'),
        BranchSite(
            *place,
            'conv',
            entry_raw=tap('', 'input'),
            entry_norm=None,
            exit_pre=tap(names.dw, 'output'),
            exit_post=None,
            conv=block.get_submodule(names.dw),
        ),
        norm_site(encoder, f'{name}.{names.norm}', 'norm', place, layout=inner),
        op_site(encoder, f'{name}.{names.fc1}', 'fc1', place, layout=inner),
        op_site(encoder, f'{name}.{names.fc2}', 'fc2', place, layout=inner),
        BranchSite(
            *place,
            'ffn',
            entry_raw=tap('', 'input'),
            entry_norm=tap(names.norm, 'output', inner),
            exit_pre=tap(names.fc2, 'output', inner),
            # LayerScale is a bare parameter: the first module after it is drop_path
            exit_post=tap(names.drop_path, 'input'),
        ),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]
