"""Pieces that the families share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import nn

from rein_seg.errors import UserError
from rein_seg.structures import (
    BranchSite,
    Layout,
    NormSite,
    OpSite,
    ParamSite,
    SeqSite,
    Side,
    Site,
    StreamSite,
    Tap,
)

Place = tuple[int, int, int, int]  # block, stage, depth, channels: what every site begins with
ARCH_SIZES = ('embed_dims', 'num_layers', 'num_heads', 'feedforward_channels')


def check_config(args: Mapping[str, Any]) -> None:
    """Checks an encoder's arguments for one that would have no effect.

    Raises:
        UserError: If ``init_cfg`` is among them.
    """
    if args.get('init_cfg') is not None:
        raise UserError(
            f'encoder.init_cfg={args["init_cfg"]!r} would have no effect: give '
            'checkpoint=FILE, which loads strictly when the encoder is built'
        )


def check_count(name: str, value: Any, *, least: int = 1) -> int:
    """Returns ``value`` of the argument ``name`` if it is a whole number of at least ``least``.

    Raises:
        UserError: If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f'encoder.{name}={value!r}: expected a whole number, {least} or more')
    return value


def check_arch(arch: Mapping[str, Any]) -> None:
    """Checks the sizes of a transformer that ``arch`` gives, all of `ARCH_SIZES`.

    Raises:
        UserError: If one is no whole number of at least 1, or the heads do not divide the width.
    """
    for key in ARCH_SIZES:
        check_count(f'arch.{key}', arch[key])
    if arch['embed_dims'] % arch['num_heads']:
        raise UserError(
            f'encoder.arch has embed_dims={arch["embed_dims"]} and num_heads={arch["num_heads"]}: '
            'expected a width that the number of heads divides'
        )


def check_number(name: str, value: Any) -> float:
    """Returns ``value`` of the argument ``name`` if it is a number.

    Raises:
        UserError: If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f'encoder.{name}={value!r}: expected a number')
    return value


def default_out_indices(depth: int) -> list[int]:
    """Returns the blocks at the quarters of the depth; for 24 blocks those that Rein takes."""
    if depth == 24:
        return [7, 11, 15, 23]
    return sorted({depth * quarter // 4 - 1 for quarter in range(1, 5)} - {-1})


def check_image_size(img_size: Any, patch_size: int) -> None:
    """Checks that ``img_size`` is a side in pixels, or two, of at least one patch.

    Raises:
        UserError: If it is not.
    """
    sides = [img_size] if isinstance(img_size, int) else img_size
    pair = isinstance(sides, (list, tuple)) and (len(sides) == 2 or sides == [img_size])
    if not pair or not all(type(side) is int and side >= patch_size for side in sides):
        raise UserError(
            f'encoder.img_size={img_size!r}: expected a side in pixels, or (height, width), each '
            f'at least patch_size={patch_size}'
        )


def check_listed(name: str, indices: Any, *, unit: str = 'blocks') -> None:
    """Checks that the argument ``name`` is None or a list of whole numbers, and not empty.

    Raises:
        UserError: If it is not.
    """
    listed = isinstance(indices, (list, tuple)) and len(indices) > 0
    if indices is not None and not (listed and all(type(i) is int for i in indices)):
        raise UserError(f'encoder.{name}={indices!r}: expected a list of {unit}, such as [0, 1]')


def check_out_indices(
    indices: Sequence[int], depth: int, *, unit: str, name: str = 'out_indices'
) -> tuple[int, ...]:
    """Returns ``indices`` as a tuple if each names one of ``depth`` units, in rising order.

    Raises:
        UserError: If an index lies outside 0..depth-1, or they do not rise: an encoder emits its
            maps in forward order, once each, whatever the order asked for.
    """
    chosen = tuple(int(index) for index in indices)
    if any(not 0 <= index < depth for index in chosen):
        raise UserError(
            f'{name}={list(chosen)} goes beyond the encoder: it has {depth} {unit}, '
            f'so indexes run from 0 to {depth - 1}'
        )
    if list(chosen) != sorted(set(chosen)):
        raise UserError(
            f'{name}={list(chosen)} must rise without repeats: maps come out in forward order'
        )
    return chosen


def op_site(
    encoder: nn.Module,
    name: str,
    role: str,
    place: Place,
    parts: tuple[str, ...] = (),
    *,
    layout: Layout | None = None,
) -> OpSite:
    """Returns the OP site of a linear or convolution.

    Args:
        encoder: The encoder.
        name: Module name in it.
        role: See `OpSite`.
        place: Where it is.
        parts: Names of the equal slices of its output channels.
        layout: Of its output; None: NCHW of a convolution, NLC of a linear.
    """
    module = encoder.get_submodule(name)
    own: Layout = 'NCHW' if isinstance(module, nn.Conv2d) else 'NLC'
    width = module.weight.shape[0] // len(parts) if parts else 0
    slices = tuple((part, i * width, (i + 1) * width) for i, part in enumerate(parts))
    return OpSite(*place, role, name, Tap(module, 'output', layout or own), slices)


def norm_site(
    encoder: nn.Module, name: str, role: str, place: Place, *, layout: Layout = 'NLC'
) -> NormSite:
    """Returns the NORM site of the module ``name``, as wide as its own weight."""
    module = encoder.get_submodule(name)
    width = module.weight.shape[0]
    return NormSite(*place[:3], width, role, name, Tap(module, 'output', layout))


def map_block_sites(
    encoder: nn.Module,
    name: str,
    place: Place,
    *,
    norms: tuple[str, str],
    merging: nn.Module | None = None,
) -> list[Site]:
    """Returns the sites of a mmpretrain block whose stream is (B, H, W, C), as in SAM and Swin.

    Args:
        encoder: The encoder.
        name: Module name of the block; its attention cuts windows itself, or has none.
        place: Where it is.
        norms: Names of its two norms.
        merging: See `SeqSite`.
    """
    block = encoder.get_submodule(name)
    norm1, norm2 = norms

    def tap(path: str, side: Side) -> Tap:
        return Tap(block.get_submodule(path) if path else block, side, 'NHWC')

    def op(path: str, role: str, parts: tuple[str, ...] = ()) -> Site:
        return op_site(encoder, f'{name}.{path}', role, place, parts, layout='NHWC')

    def branch(kind: Literal['attn', 'ffn'], norm: str, exit_: str) -> Site:
        raw, normed = tap(norm, 'input'), tap(norm, 'output')
        return BranchSite(*place, kind, raw, normed, exit_pre=tap(exit_, 'output'), exit_post=None)

    return [
        StreamSite(*place, 'in', (tap('', 'input'),)),
        norm_site(encoder, f'{name}.{norm1}', 'norm1', place, layout='NHWC'),
        op('attn.qkv', 'qkv', ('q', 'k', 'v')),
        op('attn.proj', 'proj'),
        branch('attn', norm1, 'attn'),
        StreamSite(*place, 'mid', (tap(norm2, 'input'), tap('', 'output'))),
        norm_site(encoder, f'{name}.{norm2}', 'norm2', place, layout='NHWC'),
        op('ffn.layers.0.0', 'fc1'),
        op('ffn.layers.1', 'fc2'),
        branch('ffn', norm2, 'ffn.gamma2'),
        SeqSite(*place, entry=tap('', 'input'), exit=tap('', 'output'), merging=merging),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]


def param_sites(
    encoder: nn.Module,
    places: dict[str, Place],
    *,
    unused: tuple[str, ...] = (),
) -> tuple[ParamSite, ...]:
    """Returns a PARAM site for every parameter of ``encoder`` that its outputs depend on.

    Args:
        encoder: The encoder.
        places: Module name of each block -> (block, stage, depth, channels), up to the block of
            the last output; parameters of later blocks get no site. Other modules that lie beside
            the blocks, such as a merging of patches, are listed too.
        unused: Names of further modules behind the last output.
    """
    kinds = {name.split('.', 1)[0] for name in places}
    norms = {
        name
        for name, module in encoder.named_modules()
        if 'Norm' in type(module).__name__ and len(list(module.children())) == 0
    }
    sites = []
    for name, param in encoder.named_parameters():
        owner = next((p for p in places if name.startswith(p + '.')), None)
        if owner is None and (name.split('.', 1)[0] in kinds or name.startswith(unused)):
            continue
        block, stage, depth, channels = places[owner] if owner else (-1, -1, -1, param.shape[-1])
        holder = encoder.get_submodule(name.rpartition('.')[0])
        role = _role(name, param, norms)
        sites.append(ParamSite(block, stage, depth, channels, name, role, param, holder))
    return tuple(sites)


def _role(name: str, param: nn.Parameter, norms: set[str]) -> str:
    owner, _, leaf = name.rpartition('.')
    if leaf == 'pos_embed' or leaf.startswith(('rel_pos_', 'relative_position_')):
        return 'pos'
    if leaf.endswith(('token', 'tokens')):
        return 'token'
    if owner in norms:
        return 'norm_bias' if leaf == 'bias' else 'norm'
    if leaf.endswith('bias'):
        return 'bias'
    # LayerScale is a vector called gamma (ConvNeXt) or the weight of a module called gamma1, gamma2
    return 'scale' if param.dim() <= 1 else 'weight'
