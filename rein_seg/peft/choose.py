"""Which operations a low-rank method updates, from the names that its config lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rein_seg.errors import UserError
from rein_seg.structures import Anatomy, NormSite, OpSite

Rows = tuple[tuple[int, int], ...]  # slices (start, stop) of the output channels


def find_targets(
    anatomy: Anatomy,
    method: str,
    *,
    parts: Sequence[str],
    blocks: Iterable[int] | None = None,
) -> list[tuple[OpSite, Rows]]:
    """Returns each operation that holds a wanted part, with the rows of its weight to update.

    Args:
        anatomy: The encoder's anatomy.
        method: Name of the method, for the error message.
        parts: Roles (all rows), or names of parts of fused operations (their rows).
        blocks: Block indexes; None takes all, negative ones count from the end.

    Raises:
        UserError: If the encoder lacks one of ``parts``, or ``parts`` is empty.
    """
    sites = anatomy.find(OpSite, blocks=blocks)
    known = part_names(anatomy, blocks=blocks)
    unknown = [part for part in parts if part not in known]
    if unknown or not parts:
        raise UserError(
            f'{method} parts={list(parts)}: the {anatomy.family!r} encoder has no {unknown}; '
            f'it has {sorted(known)}'
        )
    targets = []
    for site in sites:
        rows = tuple((start, stop) for name, start, stop in site.parts if name in parts)
        if site.role in parts:
            rows = ((0, site.module.weight.shape[0]),)
        if rows:
            targets.append((site, rows))
    return targets


def part_names(anatomy: Anatomy, *, blocks: Iterable[int] | None = None) -> set[str]:
    """Returns the roles of the operations in these blocks and the names of their parts."""
    sites = anatomy.find(OpSite, blocks=blocks)
    return {site.role for site in sites} | {part[0] for site in sites for part in site.parts}


def module_key(site: OpSite | NormSite) -> str:
    """Returns the name that the site's adapter has in a `ModuleDict`, where dots are refused."""
    return site.name.replace('.', '_')
