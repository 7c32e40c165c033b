"""ConvNeXt v1 and v2 of mmpretrain: four stages of (B, C, H, W) maps, no tokens.

A block is depthwise 7x7 -> norm -> fc1 -> GELU -> fc2 -> LayerScale -> residual sum; inside, the
map is NHWC when the pointwise convolutions are linears (the default) and NCHW otherwise.
"""

from __future__ import annotations

from torch import nn

from rein_seg.encoders.common import check_out_indices, param_sites
from rein_seg.errors import UserError
from rein_seg.registry import register_anatomy
from rein_seg.structures import Anatomy, BranchSite, NormSite, OpSite, Site, StreamSite, Tap


@register_anatomy('mmpretrain.models.backbones.convnext.ConvNeXt')
def convnext_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a mmpretrain `ConvNeXt`.

    Raises:
        UserError: If it averages its maps away, or ``out_indices`` goes beyond the stages.
    """
    if encoder.gap_before_final_norm:
        raise UserError(
            'encoder.gap_before_final_norm=True gives vectors, not maps: set it to False'
        )
    stages = check_out_indices(encoder.out_indices, encoder.num_stages, unit='stages')
    stem = int(encoder.downsample_layers[0][0].stride[0])
    places, block = {}, 0
    depths = tuple(encoder.depths[: stages[-1] + 1])  # no site beyond the last output
    for stage, depth in enumerate(depths):
        for index in range(depth):
            places[f'stages.{stage}.{index}'] = (block, stage, index, encoder.channels[stage])
            block += 1
    later = range(len(depths), encoder.num_stages)
    unused = tuple(f'downsample_layers.{stage}.' for stage in later)
    sites: list[Site] = [*param_sites(encoder, places, unused=unused)]
    for stage, channels in enumerate(encoder.channels[: len(depths)]):
        sites += _downsample_sites(encoder, stage, channels)
        for name, place in places.items():
            if place[1] == stage:
                sites += _block_sites(encoder, name, place)
        if stage in stages:
            sites.append(_norm(encoder, f'norm{stage}', 'final', (-1, stage, -1, channels)))
    return Anatomy(
        family='convnext',
        sites=tuple(sites),
        num_prefix=0,
        patch_size=stem,
        out_channels=tuple(encoder.channels[s] for s in stages),
        out_strides=tuple(stem * 2**s for s in stages),
        stage_depths=depths,
        stage_channels=tuple(encoder.channels[: len(depths)]),
    )


def _norm(
    encoder: nn.Module,
    name: str,
    role: str,
    place: tuple[int, int, int, int],
    layout: str = 'NCHW',
) -> NormSite:
    return NormSite(*place, role, name, Tap(encoder.get_submodule(name), 'output', layout))


def _downsample_sites(encoder: nn.Module, stage: int, channels: int) -> list[Site]:
    # the stem is (convolution, norm), the later ones are (norm, convolution)
    conv, norm = (0, 1) if stage == 0 else (1, 0)
    name = f'downsample_layers.{stage}'
    op = encoder.get_submodule(f'{name}.{conv}')
    wide = encoder.channels[max(stage - 1, 0)]
    role = 'patch' if stage == 0 else 'merge'
    sites: list[Site] = [
        OpSite(-1, stage, -1, channels, role, f'{name}.{conv}', Tap(op, 'output', 'NCHW')),
        _norm(encoder, f'{name}.{norm}', role, (-1, stage, -1, wide)),
    ]
    return sites if stage == 0 else sites[::-1]


def _block_sites(encoder: nn.Module, name: str, place: tuple[int, int, int, int]) -> list[Site]:
    block = encoder.get_submodule(name)
    inner = 'NHWC' if block.linear_pw_conv else 'NCHW'

    def tap(path: str, side: str, layout: str = 'NCHW') -> Tap:
        return Tap(block.get_submodule(path) if path else block, side, layout)

    def op(path: str, role: str, layout: str) -> OpSite:
        return OpSite(*place, role, f'{name}.{path}', tap(path, 'output', layout))

    return [
        StreamSite(*place, 'in', (tap('', 'input'),)),
        op('depthwise_conv', 'dw', 'NCHW'),
        BranchSite(
            *place,
            'conv',
            entry_raw=tap('', 'input'),
            entry_norm=None,
            exit_pre=tap('depthwise_conv', 'output'),
            exit_post=None,
        ),
        _norm(encoder, f'{name}.norm', 'norm', place, inner),
        op('pointwise_conv1', 'fc1', inner),
        op('pointwise_conv2', 'fc2', inner),
        BranchSite(
            *place,
            'ffn',
            entry_raw=tap('', 'input'),
            entry_norm=tap('norm', 'output', inner),
            exit_pre=tap('pointwise_conv2', 'output', inner),
            # LayerScale is a raw parameter here: its product is first seen as drop_path's input
            exit_post=tap('drop_path', 'input'),
        ),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]
