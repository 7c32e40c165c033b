"""Anatomy of PVT."""

from __future__ import annotations

from rein_seg.encoders.pvt.model import PVT
from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.encoders.staged import TokenMerging, stage_places, token_block_sites
from rein_seg.registry import register_anatomy
from rein_seg.structures import Anatomy, Site


@register_anatomy(PVT)
def pvt_anatomy(encoder: PVT) -> Anatomy:
    """Returns the anatomy of a PVT.

    The stream is (B, N, C); the encoder sets the grid of each stage, and the attention, while it
    computes keys and values, the grid of their smaller map. OP sr and dw see maps. The embedding of
    every stage is OP and NORM ``patch``. SEQ tokens are queries and further keys; positions, the
    reduction of the keys and the depthwise convolution leave them out.
    """
    outputs, arch = encoder.out_indices, encoder.arch
    stages = outputs[-1] + 1  # no site beyond the last output
    depths, widths = tuple(arch.depths[:stages]), tuple(arch.embed_dims[:stages])
    blocks = stage_places('block{number}.{index}', depths, widths)
    outside = [(-1, stage, -1, width) for stage, width in enumerate(widths)]
    around = {f'patch_embed{stage + 1}': place for stage, place in enumerate(outside)}
    later = tuple(
        f'{name}{stage + 1}'
        for stage in range(stages, encoder.num_stages)
        for name in ('patch_embed', 'pos_embed', 'block', 'norm')
    )
    sites: list[Site] = [*param_sites(encoder, {**blocks, **around}, unused=later)]
    for stage, place in enumerate(outside):
        embed = f'patch_embed{stage + 1}'
        sites.append(op_site(encoder, f'{embed}.proj', 'patch', place))
        sites.append(norm_site(encoder, f'{embed}.norm', 'patch', place))
        for name, block in blocks.items():
            if block[1] == stage:
                sites += _block_sites(encoder, name, block)
        if arch.version == 'v2':
            sites.append(norm_site(encoder, f'norm{stage + 1}', 'final', place))
    return Anatomy(
        family='pvt',
        sites=tuple(sites),
        num_prefix=0,
        patch_size=4,
        out_channels=tuple(widths[stage] for stage in outputs),
        out_strides=tuple(4 * 2**stage for stage in outputs),
        stage_depths=depths,
        stage_channels=widths,
        least_side=encoder.smallest_side,
        check_size=encoder.check_size,
        state=encoder.state,
    )


def _block_sites(encoder: PVT, name: str, place: Place) -> list[Site]:
    block = encoder.get_submodule(name)

    def op(path: str, role: str, parts: tuple[str, ...] = ()) -> Site:
        return op_site(encoder, f'{name}.{path}', role, place, parts)

    attention = [op('attn.q', 'q'), op('attn.kv', 'kv', ('k', 'v')), op('attn.proj', 'proj')]
    if block.attn.reduces:
        norm = norm_site(encoder, f'{name}.attn.norm', 'sr', place)
        attention[1:1] = [op('attn.sr', 'sr'), norm]
    ffn = [op('mlp.fc1', 'fc1'), op('mlp.fc2', 'fc2')]
    if block.mlp.dwconv is not None:
        ffn.insert(1, op('mlp.dwconv.dwconv', 'dw'))
    stage, first = place[1], place[2] == 0
    merging = None
    if stage and first:
        embed = encoder.get_submodule(f'patch_embed{stage + 1}')
        merging = TokenMerging(embed.proj, embed.norm)
    return token_block_sites(encoder, name, place, attention=attention, ffn=ffn, merging=merging)
