"""The branches of a block that adapters sit on, and the sizes of an adapter there."""

from __future__ import annotations

from collections.abc import Iterable

from rein_seg.structures import Anatomy, BranchSite

Sizes = tuple[int, int, tuple[int, int]]  # input channels, output channels, stride along H and W


def residual_branches(
    anatomy: Anatomy, wanted: Iterable[str], *, blocks: Iterable[int] | None = None
) -> tuple[BranchSite, ...]:
    """Returns the branches that end in a residual sum, in forward order.

    Args:
        anatomy: The encoder's anatomy.
        wanted: attn, ffn or both. Convolutional blocks have no attn; where there is no ffn either,
            the branch conv replaces it.
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> from rein_seg.peft.parts.branches import residual_branches
        >>> encoder, _ = build_encoder(dict(type='TinyViT', init_seed=0))
        >>> sites = residual_branches(find_anatomy(encoder), ['attn', 'ffn'], blocks=[0, 1])
        >>> [f'{site.branch} {site.block}' for site in sites]
        ['attn 0', 'ffn 0', 'attn 1', 'ffn 1']
    """
    there = {site.branch for site in anatomy.find(BranchSite, blocks=blocks)}
    chosen = there & set(wanted) or {'conv'}
    return anatomy.find(BranchSite, blocks=blocks, branch=chosen)


def branch_sizes(site: BranchSite, *, parallel: bool) -> Sizes:
    """Returns the sizes of an adapter of a branch.

    Args:
        site: The branch.
        parallel: Whether the adapter reads the input of the branch, or its result.
    """
    conv = site.conv
    if conv is None:
        return site.channels, site.channels, (1, 1)
    if not parallel:
        return conv.out_channels, conv.out_channels, (1, 1)
    return conv.in_channels, conv.out_channels, (int(conv.stride[0]), int(conv.stride[1]))
