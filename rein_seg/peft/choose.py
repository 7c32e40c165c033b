"""Chooses the operations that a method changes, from the names in its ``targets``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from torch import nn

from rein_seg.errors import UserError
from rein_seg.structures import Anatomy, OpSite

Rows = tuple[tuple[int, int], ...]  # slices (start, stop) of the output channels


def find_operations(
    anatomy: Anatomy,
    method: str,
    *,
    targets: Sequence[str],
    blocks: Iterable[int] | None = None,
) -> list[OpSite]:
    """Returns the operations with a wanted role or part; ``parts`` keeps the wanted parts only.

    Args:
        anatomy: The encoder's anatomy.
        method: Name of the method, for the error message.
        targets: Roles (all rows of the weight; ``parts`` is then empty), or names of parts of
            fused operations. ``qkv`` also stands for q, k and v in modules of their own.
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Raises:
        UserError: If the encoder lacks one of ``targets``, or has no operations at all.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> from rein_seg.peft.choose import find_operations, rows_of
        >>> encoder, _ = build_encoder(dict(type='TinyViT', init_seed=0))
        >>> sites = find_operations(find_anatomy(encoder), 'LoRA', targets=['q', 'v'], blocks=[0])
        >>> [(site.name, rows_of(site)) for site in sites]
        [('layers.0.attn.qkv', ((0, 192), (384, 576)))]
    """
    check_operations(anatomy, method)
    known = target_names(anatomy, blocks=blocks)
    targets = _unfused(targets, known)
    check_targets(method, targets, known, anatomy.family)
    chosen = []
    for site in anatomy.find(OpSite, blocks=blocks):
        parts = tuple(part for part in site.parts if part[0] in targets)
        if site.role in targets:
            chosen.append(replace(site, parts=()))
        elif parts:
            chosen.append(replace(site, parts=parts))
    return chosen


def _unfused(targets: Sequence[str], known: Collection[str]) -> list[str]:
    """Returns the targets with the roles of queries, keys and values where they are not fused."""
    apart = [role for role in ('q', 'kv', 'k', 'v') if role in known]
    if 'qkv' in known or not {'q', 'k', 'v'} <= set(apart):
        return list(targets)
    return [name for target in targets for name in (apart if target == 'qkv' else [target])]


def rows_of(site: OpSite) -> Rows:
    """Returns the slices of the output channels of a site that `find_operations` returned."""
    whole = ((0, site.module.weight.shape[0]),)
    return tuple((start, stop) for _, start, stop in site.parts) or whole


def target_names(anatomy: Anatomy, *, blocks: Iterable[int] | None = None) -> set[str]:
    """Returns the roles of the operations in these blocks and the names of their parts."""
    sites = anatomy.find(OpSite, blocks=blocks)
    return {site.role for site in sites} | {part[0] for site in sites for part in site.parts}


def check_operations(anatomy: Anatomy, method: str) -> None:
    """Checks that the encoder has operations that a method can change.

    Raises:
        UserError: If not: ResNetV2 standardises its filters when it uses them.
    """
    if not any(isinstance(site, OpSite) for site in anatomy.sites):
        raise UserError(
            f'{method} changes operations (linear layers, convolutions), and the '
            f'{anatomy.family!r} encoder has none that a method can change: choose a method of its '
            'stream, norms or parameters, such as Rein or BitFit'
        )


def check_targets(method: str, targets: Sequence[str], known: Collection[str], family: str) -> None:
    """Checks that the encoder has every target.

    Raises:
        UserError: If not.
    """
    unknown = [target for target in targets if target not in known]
    if unknown:
        raise UserError(
            f'{method} targets={list(targets)}: the {family!r} encoder has no {unknown}; '
            f'it has {sorted(known)}'
        )


def check_dense(site: OpSite, method: str) -> None:
    """Checks that an operation is no grouped convolution.

    Raises:
        UserError: If it is.
    """
    if isinstance(site.module, nn.Conv2d) and site.module.groups > 1:
        raise UserError(
            f'{method} cannot update the grouped convolution {site.name!r} '
            f'(groups={site.module.groups}): leave {site.role!r} out of targets'
        )


def check_components(site: OpSite, method: str, rank: int) -> None:
    """Checks that each slice of an operation's weight has ``rank`` singular components.

    Raises:
        UserError: If a slice has fewer.
    """
    slices = min(stop - start for start, stop in rows_of(site))
    most = min(slices, site.module.weight[0].numel())
    if rank > most:
        raise UserError(
            f'{method} rank={rank}: {site.name!r} has {most} singular components: choose a rank of '
            f'at most {most}, or leave {site.role!r} out of targets'
        )


def check_pointwise(site: OpSite, method: str) -> None:
    """Checks that an operation is a linear or a dense 1x1 convolution.

    Raises:
        UserError: If it is not.
    """
    op = site.module
    if isinstance(op, nn.Conv2d) and (set(op.kernel_size) != {1} or op.groups > 1):
        raise UserError(
            f'{method} takes linears and dense 1x1 convolutions, not {site.name!r} '
            f'(kernel {tuple(op.kernel_size)}, groups {op.groups}): leave {site.role!r} out of '
            'targets'
        )
