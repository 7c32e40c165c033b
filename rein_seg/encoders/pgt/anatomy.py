"""Anatomy of PGT."""

from __future__ import annotations

from torch import nn

from rein_seg.encoders.pgt.model import PGT
from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.encoders.staged import TokenMerging, stage_places, token_block_sites
from rein_seg.registry import register_anatomy
from rein_seg.structures import Anatomy, Site


@register_anatomy(PGT)
def pgt_anatomy(encoder: PGT) -> Anatomy:
    """Returns the anatomy of a pyramid group transformer.

    Inserted tokens are keys in every group of the attention, and the depthwise convolution behind
    the feed-forward (OP cpe) does not see them. With ``padding='official'`` OP q and kv see the
    padded grid.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> from rein_seg.structures import OpSite
        >>> encoder, _ = build_encoder(dict(type='PGT', arch='tiny', init_seed=0))
        >>> anatomy = find_anatomy(encoder)
        >>> anatomy.out_channels, anatomy.out_strides, len(anatomy.find(OpSite, role='kv'))
        ((64, 128, 256, 512), (4, 8, 16, 32), 12)
    """
    outputs = encoder.out_indices
    depths = encoder.depths[: outputs[-1] + 1]  # no site beyond the last output
    widths = encoder.widths[: len(depths)]
    blocks = stage_places('stages.{stage}.blocks.{index}', depths, widths)
    transforms = {
        f'stages.{stage}.transform': (-1, stage, -1, width) for stage, width in enumerate(widths)
    }
    sites: list[Site] = [*param_sites(encoder, {**blocks, **transforms})]
    for (transform, entry), stage in zip(transforms.items(), range(len(depths)), strict=True):
        sites += _entry_sites(encoder, transform, entry)
        for name, place in blocks.items():
            if place[1] == stage:
                first = stage > 0 and place[2] == 0
                sites += _block_sites(encoder, name, place, transform if first else None)
        if stage in outputs:
            sites.append(norm_site(encoder, f'norm{stage}', 'final', entry))
    return Anatomy(
        family='pgt',
        sites=tuple(sites),
        num_prefix=0,
        patch_size=encoder.patch_sizes[0],
        out_channels=tuple(widths[stage] for stage in outputs),
        out_strides=tuple(4 * 2**stage for stage in outputs),
        stage_depths=depths,
        stage_channels=widths,
        check_size=encoder.check_size,
        state=encoder.state,
    )


def _entry_sites(encoder: PGT, transform: str, place: Place) -> list[Site]:
    sites: list[Site] = [op_site(encoder, f'{transform}.proj', 'patch', place)]
    if isinstance(encoder.get_submodule(f'{transform}.norm'), nn.LayerNorm):
        sites.append(norm_site(encoder, f'{transform}.norm', 'patch', place))
    return sites


def _block_sites(encoder: PGT, name: str, place: Place, transform: str | None) -> list[Site]:
    """Returns the sites of a block; ``transform`` is the embedding in front of a later stage."""

    def op(path: str, role: str, parts: tuple[str, ...] = ()) -> Site:
        return op_site(encoder, f'{name}.{path}', role, place, parts)

    embedding = None if transform is None else encoder.get_submodule(transform)
    sites = token_block_sites(
        encoder,
        name,
        place,
        attention=[op('attn.q', 'q'), op('attn.kv', 'kv', ('k', 'v')), op('attn.proj', 'proj')],
        ffn=[op('ffn.layers.0.0', 'fc1'), op('ffn.layers.1', 'fc2')],
        exits=('attn', 'ffn'),
        last_sum='drop_path2',
        merging=None if embedding is None else TokenMerging(embedding.proj, embedding.norm),
    )
    return [*sites[:-2], op('cpe.conv', 'cpe'), *sites[-2:]]
