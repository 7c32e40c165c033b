"""ResNet of mmseg, mmpretrain (V1c and V1d too), timm and torchvision: (B, C, H, W) maps.

A block is conv -> norm -> ReLU, twice or three times, the last ReLU after the residual sum; a
block that changes the map's size or width has a convolution on its shortcut. ReLUs work in place.
A frozen encoder stays in eval mode, so its batch statistics are constant for any ``norm_eval``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import Tensor, nn

from rein_seg.encoders.checks import check_out_indices
from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.encoders.weights import HEADS, Converted, rename
from rein_seg.errors import UserError
from rein_seg.registry import register_anatomy, register_key_map
from rein_seg.structures import Anatomy, BranchSite, Site, StreamSite, Tap

_NAMES = tuple(
    f'{package}.{name}'
    for package in ('mmseg', 'mmpretrain')
    for name in ('ResNet', 'ResNetV1c', 'ResNetV1d')
)
# the last gives the maps of stages
_MODELS = ('timm.ResNet', 'torchvision.ResNet', 'torchvision.IntermediateLayerGetter')
_STAGES = ('layer1', 'layer2', 'layer3', 'layer4')


@register_anatomy(*_NAMES)
def resnet_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a ResNet.

    It has no BRANCH ffn: a block's residual branch changes width and size between stages. BRANCH
    conv is the spatial convolution (conv2 of a bottleneck, conv1 of a basic block) with its norm
    and ReLU; an adapter beside it needs the same stride.

    Raises:
        UserError: If the encoder has plugins, deformable convolutions or its own activation
            checkpointing (which is re-entrant: adapters would lose gradients), or ``out_indices``
            goes beyond the stages.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> from rein_seg.structures import BranchSite
        >>> encoder, _ = build_encoder(dict(type='mmseg.ResNetV1c', depth=18, init_seed=0))
        >>> anatomy = find_anatomy(encoder)
        >>> anatomy.out_channels, len(anatomy.find(BranchSite, branch='conv'))
        ((64, 128, 256, 512), 8)
    """
    for option in ('with_cp', 'plugins', 'dcn'):
        if getattr(encoder, option, None):
            raise UserError(
                f'encoder.{option}={getattr(encoder, option)!r} is not supported: leave it out'
                + (' and set backbone.activation_checkpointing' if option == 'with_cp' else '')
            )
    stages = check_out_indices(encoder.out_indices, len(encoder.res_layers), unit='stages')
    return _anatomy(encoder, encoder.res_layers, stages)


@register_anatomy(*_MODELS)
def resnet_model_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a ResNet as timm or torchvision builds it, without its classifier.

    Raises:
        UserError: If it is another network, or its blocks are neither basic blocks nor bottlenecks.

    Example:
        >>> import torchvision
        >>> from rein_seg.encoders import find_anatomy
        >>> anatomy = find_anatomy(torchvision.models.resnet18(weights=None))
        >>> anatomy.stage_depths, anatomy.stage_channels
        ((2, 2, 2, 2), (64, 128, 256, 512))
    """
    layers = [name for name in _STAGES if name in encoder._modules]
    blocks = {type(block).__name__ for name in layers for block in encoder.get_submodule(name)}
    if not layers or 'conv1' not in encoder._modules or not blocks <= {'BasicBlock', 'Bottleneck'}:
        parts = sorted(blocks) or sorted(encoder._modules)[:4]
        raise UserError(
            f'{type(encoder).__name__} has {parts}: expected a ResNet of BasicBlock or Bottleneck; '
            'give the encoder itself, or register an anatomy (docs/tutorials/your-encoder.md)'
        )
    return _anatomy(encoder, layers, range(len(layers)), head=('fc.',))


def _anatomy(
    encoder: nn.Module, all_layers: Sequence[str], stages: Sequence[int], head: tuple[str, ...] = ()
) -> Anatomy:
    run = all_layers[: stages[-1] + 1]  # no site beyond the last output
    unused = (*head, *(f'{layer}.' for layer in all_layers[len(run) :]))
    return stages_anatomy(encoder, run, stages, stem=_stem(encoder), unused=unused)


def stages_anatomy(
    encoder: nn.Module,
    layers: Sequence[str],
    stages: Sequence[int],
    *,
    stem: Sequence[str],
    unused: Sequence[str] = (),
) -> Anatomy:
    """Returns the anatomy of a network whose stages are lists of residual blocks.

    Args:
        encoder: The network.
        layers: Module names of the stages that it runs.
        stages: Indexes of the stages whose maps it returns.
        stem: Module names of convolutions and norms, or of modules with them, in front of the
            stages.
        unused: Beginnings of the names of parameters that the maps do not depend on.
    """
    channels = tuple(_width(encoder.get_submodule(layer)[-1]) for layer in layers)
    places: dict[str, Place] = {}
    for stage, layer in enumerate(layers):
        for index in range(len(encoder.get_submodule(layer))):
            places[f'{layer}.{index}'] = (len(places), stage, index, channels[stage])
    sites: list[Site] = [*param_sites(encoder, places, unused=tuple(unused))]
    sites += _stem_sites(encoder, stem)
    for name, place in places.items():
        sites += _block_sites(encoder, name, place)
    strides = [4]  # the stem: convolution and pooling
    for layer in layers:
        strides.append(strides[-1] * encoder.get_submodule(layer)[0].stride)
    return Anatomy(
        family='resnet',
        sites=tuple(sites),
        num_prefix=0,
        patch_size=4,
        out_channels=tuple(channels[stage] for stage in stages),
        out_strides=tuple(strides[stage + 1] for stage in stages),
        stage_depths=tuple(len(encoder.get_submodule(layer)) for layer in layers),
        stage_channels=channels,
    )


@register_key_map(*_NAMES)
def resnet_weights(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Takes torchvision's and OpenMMLab's files: the same names, with or without ``backbone.``.

    Heads and stages that the encoder does not have are left out.

    Raises:
        UserError: If file and encoder have different stems: a 7x7 convolution (ResNet), or three
            3x3 convolutions (ResNetV1c and V1d).
    """
    tensors = rename(state, ((r'^(module\.)?(backbone\.)?', ''),))
    deep = any(name.startswith('stem.') for name in tensors)
    if (deep or 'conv1.weight' in tensors) and deep != bool(encoder.deep_stem):
        has, needs = ('stem.*', 'conv1, bn1') if deep else ('conv1, bn1', 'stem.*')
        raise UserError(
            f'the weights file has {has}, encoder {type(encoder).__name__} needs {needs}: use '
            f'{"ResNetV1c or ResNetV1d" if deep else "ResNet"}, or the file made for it '
            '(open-mmlab resnet50_v1c)'
        )
    own = set(encoder.state_dict())
    later = tuple(f'layer{i}.' for i in range(len(encoder.res_layers) + 1, 5))
    unused = [name for name in tensors if name not in own and name.startswith((*HEADS, *later))]
    for name in unused:
        del tensors[name]
    for name in own:  # files from before PyTorch 0.4 lack the counter; eval mode does not use it
        if name.endswith('num_batches_tracked') and name not in tensors:
            tensors[name] = encoder.get_buffer(name)
    return Converted(tensors, left_out=tuple(sorted({re.sub(r'\d+', '*', n) for n in unused})))


def _width(block: nn.Module) -> int:
    return getattr(block, 'conv3', block.conv2).out_channels


def _is_norm(module: nn.Module) -> bool:
    return 'Norm' in type(module).__name__


def _norms(encoder: nn.Module, name: str) -> list[str]:
    """Returns the name of a norm, or the names of the norms that it consists of."""
    parts = encoder.get_submodule(name).named_modules(prefix=name)
    return [path for path, module in parts if _is_norm(module)]


def _stem(encoder: nn.Module) -> tuple[str, ...]:
    deep = getattr(encoder, 'deep_stem', False)
    # conv1 of a deep stem of timm holds several
    return ('stem',) if deep else ('conv1', getattr(encoder, 'norm1_name', 'bn1'))


def _stem_sites(encoder: nn.Module, roots: Sequence[str]) -> list[Site]:
    modules = [
        (f'{root}.{name}'.rstrip('.'), module)
        for root in roots
        for name, module in encoder.get_submodule(root).named_modules()
    ]
    sites: list[Site] = []
    for name, module in modules:
        if isinstance(module, nn.Conv2d):
            sites.append(op_site(encoder, name, 'stem', (-1, 0, -1, module.out_channels)))
        elif _is_norm(module):
            sites.append(norm_site(encoder, name, 'stem', (-1, 0, -1, -1), layout='NCHW'))
    return sites


def _block_sites(encoder: nn.Module, name: str, place: Place) -> list[Site]:
    block = encoder.get_submodule(name)
    numbers = (1, 2, 3) if hasattr(block, 'conv3') else (1, 2)
    spatial = numbers[-2]
    # CLIP's blocks have a pool between their spatial convolution and the last
    following = 'avgpool' if 'avgpool' in block._modules else f'conv{spatial + 1}'
    conv, after = block.get_submodule(f'conv{spatial}'), block.get_submodule(following)
    # the input of a stage's first block has the width of the stage before
    into = (*place[:3], block.conv1.in_channels)
    sites: list[Site] = [StreamSite(*into, 'in', (Tap(block, 'input', 'NCHW'),))]
    for n in numbers:
        norm = f'{name}.{getattr(block, f"norm{n}_name", f"bn{n}")}'
        sites.append(op_site(encoder, f'{name}.conv{n}', f'conv{n}', place))
        sites += [
            norm_site(encoder, path, f'bn{n}', place, layout='NCHW')
            for path in _norms(encoder, norm)
        ]
    sites.append(
        BranchSite(
            *place[:3],
            conv.in_channels,
            'conv',
            entry_raw=Tap(conv, 'input', 'NCHW'),
            entry_norm=None,
            exit_pre=Tap(after, 'input', 'NCHW'),
            exit_post=None,
            conv=conv,
        )
    )
    shortcut = () if block.downsample is None else block.downsample.named_children()
    for index, module in shortcut:
        path = f'{name}.downsample.{index}'
        if isinstance(module, nn.Conv2d):
            sites.append(op_site(encoder, path, 'downsample', place))
        elif _is_norm(module):
            sites.append(norm_site(encoder, path, 'downsample', place, layout='NCHW'))
    return [*sites, StreamSite(*place, 'out', (Tap(block, 'output', 'NCHW'),))]
