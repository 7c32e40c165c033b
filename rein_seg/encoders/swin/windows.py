"""Swin (v1) as timm, torchvision and mmpretrain build it: windows are cut outside the attention.

There are no SEQ sites: prompts would be cut into the windows. OP qkv and proj see each window as an
image of its own, (B nW, w w, C); torchvision's attention uses their weights without a call, so
there they are no sites.

B batch, H x W grid, C channels, w window side, nW windows of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.errors import UserError
from rein_seg.registry import register_anatomy
from rein_seg.structures import (
    Anatomy,
    BranchSite,
    Layout,
    ParamSite,
    RunState,
    Side,
    Site,
    StreamSite,
    Tap,
)


@dataclass(frozen=True)
class _Names:
    """Names of the modules of a library's Swin, and the layouts of its tensors.

    {s} is a stage, {b} a block in it, {even}, {odd} and {before} are 2 s, 2 s + 1 and s - 1.

    Attributes:
        blocks: List of the blocks of a stage.
        stem: Convolution and norm.
        merging: Module with ``norm`` and ``reduction``, before a stage.
        attention: Module that sees windows, with ``qkv`` and ``proj``; None where it calls neither.
        linears: Of the feed-forward.
        exits: Ends of the two branches.
        stream: Layout of the stream and of the attention's branch.
        inner: Layout of the feed-forward's branch.
        head: Names of the modules behind the last stage.
    """

    blocks: str
    stem: tuple[str, str]
    merging: str
    attention: str | None
    linears: tuple[str, str]
    exits: tuple[tuple[str, Side], tuple[str, Side]]
    stream: Layout
    inner: Layout
    head: tuple[str, ...] = ('head.',)


_TIMM = _Names(
    blocks='layers.{s}.blocks',
    stem=('patch_embed.proj', 'patch_embed.norm'),
    merging='layers.{s}.downsample',
    attention='attn',
    linears=('mlp.fc1', 'mlp.fc2'),
    exits=(('drop_path1', 'input'), ('mlp', 'output')),
    stream='NHWC',
    inner='NLC',
)
_TIMM_FEATURES = replace(_TIMM, blocks='layers_{s}.blocks', merging='layers_{s}.downsample')
_TORCHVISION = _Names(
    blocks='features.{odd}',
    stem=('features.0.0', 'features.0.2'),
    merging='features.{even}',
    attention=None,
    linears=('mlp.0', 'mlp.3'),
    exits=(('attn', 'output'), ('mlp', 'output')),
    stream='NHWC',
    inner='NHWC',
)
_MMPRETRAIN = _Names(
    blocks='stages.{s}.blocks',
    stem=('patch_embed.projection', 'patch_embed.norm'),
    merging='stages.{before}.downsample',
    attention='attn.w_msa',
    linears=('ffn.layers.0.0', 'ffn.layers.1'),
    exits=(('attn', 'output'), ('ffn.gamma2', 'output')),
    stream='NLC',
    inner='NLC',
)


class WindowGrid:
    """Notes the grid of a block, and within its attention the grid of a window.

    Args:
        state: Of the encoder's anatomy.
        window: (w, w).
    """

    def __init__(self, state: RunState, window: tuple[int, int]) -> None:
        self.state, self.window = state, window
        self.grid = (0, 0)

    def on_block(self, module: nn.Module, args: tuple[Any, ...], kwargs: Any) -> None:
        """Reads (H, W) from a (B, H, W, C) map, or from the second argument."""
        height, width = args[1] if len(args) > 1 else args[0].shape[1:3]
        self.grid = self.state.grid = (int(height), int(width))

    def on_windows(self, module: nn.Module, args: tuple[Any, ...], kwargs: Any) -> None:
        """Notes the window's grid."""
        self.state.grid = self.window

    def after_windows(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Notes the block's grid again."""
        self.state.grid = self.grid


@register_anatomy('timm.SwinTransformer')
def timm_swin_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a Swin as timm builds it; its classifier has no sites.

    Example:
        >>> import timm
        >>> from rein_seg.encoders import find_anatomy
        >>> sizes = dict(embed_dim=16, depths=(1, 2), num_heads=(1, 2))
        >>> anatomy = find_anatomy(timm.create_model('swin_tiny_patch4_window7_224', **sizes))
        >>> anatomy.stage_depths, anatomy.stage_channels
        ((1, 2), (16, 32))
    """
    return _anatomy(encoder, _TIMM, len(encoder.layers), outputs=('norm',))


def timm_features_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a Swin of timm with ``features_only=True``."""
    stages = sum(name.startswith('layers_') for name in encoder._modules)
    return _anatomy(encoder, _TIMM_FEATURES, stages, outputs=())


@register_anatomy('torchvision.SwinTransformer')
def torchvision_swin_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a Swin as torchvision builds it; its classifier has no sites.

    Raises:
        UserError: If it is a Swin of version 2, whose blocks are post-norm.
    """
    kind = type(encoder.features[1][0]).__name__
    if kind != 'SwinTransformerBlock':
        raise UserError(
            f'a SwinTransformer of {kind}: expected version 1 (swin_t, swin_s, swin_b), whose '
            'blocks are pre-norm; take one of these, or register an anatomy'
        )
    anatomy = _anatomy(encoder, _TORCHVISION, len(encoder.features) // 2, outputs=('norm',))
    return replace(anatomy, sites=tuple(_used(encoder, site) for site in anatomy.sites))


@register_anatomy('mmpretrain.SwinTransformer')
def mmpretrain_swin_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of mmpretrain's own Swin, up to the stage of its last output."""
    stages = max(encoder.out_indices) + 1
    outputs = tuple(f'norm{stage}' for stage in encoder.out_indices)
    return _anatomy(encoder, _MMPRETRAIN, stages, outputs=outputs)


def _anatomy(
    encoder: nn.Module, names: _Names, num_stages: int, *, outputs: tuple[str, ...]
) -> Anatomy:
    blocks: dict[str, Place] = {}
    widths, depths = [], []
    for stage in range(num_stages):
        parts = encoder.get_submodule(_fill(names.blocks, stage))
        widths.append(parts[0].norm1.weight.shape[0])
        depths.append(len(parts))
        for index in range(len(parts)):
            name = f'{_fill(names.blocks, stage)}.{index}'
            blocks[name] = (len(blocks), stage, index, widths[-1])
    state = RunState()
    around = _around(names, widths)
    sites: list[Site] = [*param_sites(encoder, {**blocks, **around}, unused=names.head)]
    hooks: list[tuple[nn.Module, Side, Callable[..., None]]] = []
    for stage, width in enumerate(widths):
        sites += _entry_sites(encoder, names, stage, width)
        for name, place in blocks.items():
            if place[1] == stage:
                sites += _block_sites(encoder, names, name, place)
                hooks += _grid_hooks(encoder.get_submodule(name), names, state)
    outside = (-1, num_stages - 1, -1, widths[-1])
    sites += [norm_site(encoder, n, 'final', outside, layout=names.stream) for n in outputs]
    patch = int(encoder.get_submodule(names.stem[0]).stride[0])
    return Anatomy(
        family='swin',
        sites=tuple(sites),
        num_prefix=0,
        patch_size=patch,
        out_channels=(widths[-1],),
        out_strides=(patch * 2 ** (num_stages - 1),),
        stage_depths=tuple(depths),
        stage_channels=tuple(widths),
        state=state,
        hooks=tuple(hooks),
        no_maps='this class is for rein_seg.attach: give the encoder type="Swin"',
    )


def _fill(name: str, stage: int) -> str:
    return name.format(s=stage, before=stage - 1, even=2 * stage, odd=2 * stage + 1)


def _around(names: _Names, widths: list[int]) -> dict[str, Place]:
    """Returns the modules beside the blocks that are in the same list."""
    around = {
        _fill(names.merging, stage): (-1, stage, -1, width)
        for stage, width in enumerate(widths)
        if stage
    }
    first = names.blocks.partition('.')[0] + '.'
    stem = {name: (-1, 0, -1, widths[0]) for name in names.stem if name.startswith(first)}
    return around | stem


def _entry_sites(encoder: nn.Module, names: _Names, stage: int, width: int) -> list[Site]:
    """Returns the sites of the stem, or of the merging before a stage."""
    place = (-1, stage, -1, width)
    if stage == 0:
        sites: list[Site] = [op_site(encoder, names.stem[0], 'patch', place)]
        norm = encoder.get_submodule(names.stem[1])
        if getattr(norm, 'weight', None) is not None:
            sites.append(norm_site(encoder, names.stem[1], 'patch', place, layout=names.stream))
        return sites
    name = _fill(names.merging, stage)
    sites = [norm_site(encoder, f'{name}.norm', 'merge', place, layout=names.stream)]
    if names.stream == 'NHWC':  # a sequence would not show the grid of the merged map
        sites.append(op_site(encoder, f'{name}.reduction', 'merge', place, layout='NHWC'))
    return sites


def _block_sites(encoder: nn.Module, names: _Names, name: str, place: Place) -> list[Site]:
    block = encoder.get_submodule(name)

    def tap(path: str, side: Side, layout: Layout) -> Tap:
        return Tap(block.get_submodule(path) if path else block, side, layout)

    def branch(kind: str, norm: str, layout: Layout, leaves: tuple[str, Side]) -> BranchSite:
        entries = tap(norm, 'input', layout), tap(norm, 'output', layout)
        return BranchSite(*place, kind, *entries, exit_pre=tap(*leaves, layout), exit_post=None)

    def op(path: str, role: str, parts: tuple[str, ...] = (), layout: Layout = 'NLC') -> Site:
        return op_site(encoder, f'{name}.{path}', role, place, parts, layout=layout)

    attention: list[Site] = []
    if names.attention is not None:
        attention = [
            op(f'{names.attention}.qkv', 'qkv', ('q', 'k', 'v')),
            op(f'{names.attention}.proj', 'proj'),
        ]
    return [
        StreamSite(*place, 'in', (tap('', 'input', names.stream),)),
        norm_site(encoder, f'{name}.norm1', 'norm1', place, layout=names.stream),
        *attention,
        branch('attn', 'norm1', names.stream, names.exits[0]),
        StreamSite(
            *place,
            'mid',
            (tap('norm2', 'input', names.inner), tap('', 'output', names.stream)),
        ),
        norm_site(encoder, f'{name}.norm2', 'norm2', place, layout=names.inner),
        op(names.linears[0], 'fc1', layout=names.inner),
        op(names.linears[1], 'fc2', layout=names.inner),
        branch('ffn', 'norm2', names.inner, names.exits[1]),
        StreamSite(*place, 'out', (tap('', 'output', names.stream),)),
    ]


def _grid_hooks(
    block: nn.Module, names: _Names, state: RunState
) -> list[tuple[nn.Module, Side, Callable[..., None]]]:
    if names.attention is None:
        return []
    attention: Any = block.get_submodule(names.attention)
    grid = WindowGrid(state, tuple(attention.window_size))
    return [
        (block, 'input', grid.on_block),
        (attention, 'input', grid.on_windows),
        (attention, 'output', grid.after_windows),
    ]


def _used(encoder: nn.Module, site: Site) -> Site:
    """Returns the site of a parameter of qkv or proj with the attention that uses it."""
    path: Mapping[str, Any] = {}
    if isinstance(site, ParamSite):
        owner, _, projection = site.name.rpartition('.')[0].rpartition('.')
        if owner.endswith('.attn') and projection in ('qkv', 'proj'):
            path = {'user': encoder.get_submodule(owner)}
    return replace(site, **path) if path else site
