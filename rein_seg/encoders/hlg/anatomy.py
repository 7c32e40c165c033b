"""Anatomy of HLG.

B batch, N tokens of a map, C' and C channels before and after a layer, H x W map.
"""

from __future__ import annotations

from torch import nn

from rein_seg.encoders.hlg.layer import LocalToGlobalLayer, PromptEmbedding
from rein_seg.encoders.hlg.model import HLGTransformer
from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.encoders.staged import stage_places
from rein_seg.registry import register_anatomy
from rein_seg.structures import (
    Anatomy,
    BranchSite,
    Layout,
    SeqSite,
    Side,
    Site,
    StreamSite,
    Tap,
)


@register_anatomy(HLGTransformer)
def hlg_anatomy(encoder: HLGTransformer) -> Anatomy:
    """Returns the anatomy of HLG.

    The feed-forward comes first in a layer, post-norm, then the attention. The stream is (B, N, C)
    tokens; the first layer of a stage takes N and C' of the stage before. BRANCH ffn goes from a
    (B, C', H, W) map to a (B, H, W, C) map, with a stride in these layers. STREAM mid lies between
    the branches, where prompts enter: they are members of every window, and keys of all pixels.
    OP v is called twice, for the pixels and for the means of windows, and k for the means.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> encoder, _ = build_encoder(dict(type='HLGTransformer', arch='tiny', init_seed=0))
        >>> anatomy = find_anatomy(encoder)
        >>> anatomy.out_channels, anatomy.out_strides, anatomy.divisor
        ((64, 128, 256, 512), (4, 8, 16, 32), 32)
    """
    outputs = encoder.out_indices
    stages = outputs[-1] + 1  # no site beyond the last output
    depths, widths = encoder.depths[:stages], encoder.embed_dims[:stages]
    places = stage_places('block{number}.{index}', depths, widths)
    later = range(stages, len(encoder.depths))
    unused = [name for s in later for name in (f'block{s + 1}.', f'{encoder.norm_name(s)}.')]
    sites: list[Site] = [*param_sites(encoder, places, unused=tuple(unused))]
    stem = (-1, 0, -1, encoder.embed_dims[0])
    for index in range(len(encoder.s0_conv)):
        sites.append(op_site(encoder, f's0_conv.{index}.0', 'patch', stem))
        sites.append(norm_site(encoder, f's0_conv.{index}.1', 'patch', stem, layout='NCHW'))
    for stage, width in enumerate(widths):
        for name, place in places.items():
            if place[1] == stage:
                sites += _layer_sites(encoder, name, place)
        outside = (-1, stage, -1, width)
        sites.append(norm_site(encoder, encoder.norm_name(stage), 'final', outside))
    return Anatomy(
        family='hlg',
        sites=tuple(sites),
        num_prefix=0,
        patch_size=4,
        out_channels=tuple(widths[stage] for stage in outputs),
        out_strides=tuple(4 * 2**stage for stage in outputs),
        stage_depths=depths,
        stage_channels=widths,
        divisor=4 * 2 ** (len(encoder.depths) - 1),
        check_size=encoder.check_size,
        state=encoder.state,
    )


def _layer_sites(encoder: HLGTransformer, name: str, place: Place) -> list[Site]:
    layer = encoder.get_submodule(name)

    def tap(path: str, side: Side, layout: Layout = 'NLC') -> Tap:
        return Tap(layer.get_submodule(path) if path else layer, side, layout)

    # the first layer of a stage has the width of the stage before at its entry
    into = (*place[:3], layer.get_submodule('mlp.fc1').in_channels)
    raw, local = tap('middle', 'output'), isinstance(layer, LocalToGlobalLayer)
    merging = PromptEmbedding(layer) if place[1] > 0 and place[2] == 0 else None
    return [
        StreamSite(*into, 'in', (tap('', 'input'),)),
        *_feed_forward_sites(encoder, name, place),
        *(_smoothing_sites(encoder, name, place) if local else []),
        StreamSite(*place, 'mid', (raw,)),
        *_attention_sites(encoder, name, place, local=local),
        BranchSite(
            *place,
            'attn',
            entry_raw=raw,
            entry_norm=tap('norm0', 'output') if local else None,
            exit_pre=tap('attn_out', 'output'),
            exit_post=None,
        ),
        SeqSite(
            *place,
            entry=tap('middle', 'input'),
            exit=tap('', 'output'),
            merging=merging,
            why_no_mask='its attention has windows, local and over the whole image',
        ),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]


def _feed_forward_sites(encoder: HLGTransformer, name: str, place: Place) -> list[Site]:
    layer, shortcut = encoder.get_submodule(name), f'{name}.down_proj.proj'
    down = layer.get_submodule('down_proj')
    conv = None if isinstance(down, nn.Identity) else encoder.get_submodule(f'{shortcut}.0')
    sites: list[Site] = []
    for path, role in (('fc1', 'fc1'), ('norm1', 'bn1'), ('fc2', 'dw'), ('norm2', 'bn2')):
        sites.append(_conv_or_norm(encoder, f'{name}.mlp.{path}', role, place))
    sites.append(_conv_or_norm(encoder, f'{name}.mlp.fc3', 'fc3', place))
    sites.append(norm_site(encoder, f'{name}.norm2', 'norm2', place, layout='NHWC'))
    if conv is not None:
        sites += [_conv_or_norm(encoder, f'{shortcut}.{i}', 'down', place) for i in (0, 1)]
    branch = BranchSite(
        *place,
        'ffn',
        entry_raw=Tap(layer.get_submodule('mlp'), 'input', 'NCHW'),
        entry_norm=None,
        exit_pre=Tap(layer.get_submodule('mlp_drop'), 'input', 'NHWC'),
        exit_post=None,
        conv=conv,  # type: ignore[arg-type]
    )
    return [*sites, branch]


def _smoothing_sites(encoder: HLGTransformer, name: str, place: Place) -> list[Site]:
    paths = (f'{name}.spatial_smooth.0.{i}' for i in (0, 1, 3, 4, 6, 7))
    return [_conv_or_norm(encoder, path, 'smooth', place) for path in paths]


def _attention_sites(
    encoder: HLGTransformer, name: str, place: Place, *, local: bool
) -> list[Site]:
    ops = {part: op_site(encoder, f'{name}.{part}', part, place) for part in ('q', 'k', 'v')}
    proj = op_site(encoder, f'{name}.global_attn.proj', 'proj', place)
    norm1 = norm_site(encoder, f'{name}.norm1', 'norm1', place)
    if not local:
        return [*ops.values(), proj, norm1]
    return [
        norm_site(encoder, f'{name}.norm0', 'norm0', place),
        ops['q'],
        ops['v'],
        norm_site(encoder, f'{name}.h0_norm', 'window', place),
        ops['k'],
        norm1,
        op_site(encoder, f'{name}.aux_q', 'aux_q', place),
        proj,
    ]


def _conv_or_norm(encoder: HLGTransformer, name: str, role: str, place: Place) -> Site:
    if isinstance(encoder.get_submodule(name), nn.Conv2d):
        return op_site(encoder, name, role, place)
    return norm_site(encoder, name, role, place, layout='NCHW')
