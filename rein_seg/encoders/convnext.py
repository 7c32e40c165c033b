"""ConvNeXt v1 and v2 of mmpretrain: four stages of (B, C, H, W) maps, no tokens.

A block is depthwise 7x7 -> norm -> fc1 -> GELU -> fc2 -> LayerScale -> residual sum; inside, the
map is NHWC when the pointwise convolutions are linears (the default) and NCHW otherwise.
"""

from __future__ import annotations

import re

from torch import Tensor, nn

from rein_seg.encoders.checks import check_out_indices
from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.encoders.weights import HEADS, Converted, fill_output_norms, rename
from rein_seg.errors import UserError
from rein_seg.registry import register_anatomy, register_key_map
from rein_seg.structures import Anatomy, BranchSite, Layout, Site, StreamSite, Tap

_NAME = 'mmpretrain.ConvNeXt'
_OFFICIAL = (
    (r'\.dwconv\.', '.depthwise_conv.'),
    (r'\.pwconv([12])\.', r'.pointwise_conv\1.'),
)


@register_anatomy(_NAME)
def convnext_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a mmpretrain `ConvNeXt`.

    Raises:
        UserError: If the encoder averages its maps, or ``out_indices`` goes beyond the stages.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> cfg = dict(type='mmpretrain.ConvNeXt', arch='tiny', gap_before_final_norm=False)
        >>> encoder, _ = build_encoder({**cfg, 'out_indices': [0, 1, 2, 3], 'init_seed': 0})
        >>> anatomy = find_anatomy(encoder)
        >>> anatomy.stage_depths, anatomy.out_channels
        ((3, 3, 9, 3), (96, 192, 384, 768))
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
            place = (-1, stage, -1, channels)
            sites.append(norm_site(encoder, f'norm{stage}', 'final', place, layout='NCHW'))
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


def _downsample_sites(encoder: nn.Module, stage: int, channels: int) -> list[Site]:
    # the stem is (convolution, norm), the later ones are (norm, convolution)
    conv, norm = (0, 1) if stage == 0 else (1, 0)
    name = f'downsample_layers.{stage}'
    place = (-1, stage, -1, channels)
    role = 'patch' if stage == 0 else 'merge'
    sites: list[Site] = [
        op_site(encoder, f'{name}.{conv}', role, place),
        norm_site(encoder, f'{name}.{norm}', role, place, layout='NCHW'),
    ]
    return sites if stage == 0 else sites[::-1]


def _block_sites(encoder: nn.Module, name: str, place: Place) -> list[Site]:
    block = encoder.get_submodule(name)
    inner: Layout = 'NHWC' if block.linear_pw_conv else 'NCHW'

    def tap(path: str, side: str, layout: Layout = 'NCHW') -> Tap:
        return Tap(block.get_submodule(path) if path else block, side, layout)

    return [
        StreamSite(*place, 'in', (tap('', 'input'),)),
        op_site(encoder, f'{name}.depthwise_conv', 'dw', place, layout='NCHW'),
        BranchSite(
            *place,
            'conv',
            entry_raw=tap('', 'input'),
            entry_norm=None,
            exit_pre=tap('depthwise_conv', 'output'),
            exit_post=None,
            conv=block.depthwise_conv,
        ),
        norm_site(encoder, f'{name}.norm', 'norm', place, layout=inner),
        op_site(encoder, f'{name}.pointwise_conv1', 'fc1', place, layout=inner),
        op_site(encoder, f'{name}.pointwise_conv2', 'fc2', place, layout=inner),
        BranchSite(
            *place,
            'ffn',
            entry_raw=tap('', 'input'),
            entry_norm=tap('norm', 'output', inner),
            exit_pre=tap('pointwise_conv2', 'output', inner),
            # LayerScale is a bare parameter: the first module after it is drop_path
            exit_post=tap('drop_path', 'input'),
        ),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]
