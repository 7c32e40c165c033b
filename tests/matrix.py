"""What trains with what, found by training it: writes docs/reference/support.md.

Methods come from the registry, with the sizes of their first row in tests/peft/cases.py; encoders
are those of tests/encoders/tiny.py, heads those of tests/heads/tiny.py.

    make support
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable

import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from mmseg.structures import SegDataSample

from rein_seg.errors import UserError
from rein_seg.registry import PEFT_METHODS
from tests import named_matrix
from tests.encoders.tiny import ENCODERS, FOUR_MAPS, with_joint, with_norm
from tests.heads.tiny import HEADS, reads_joint, reads_norm
from tests.paths import REPO
from tests.peft.cases import CASES

DOCUMENT = REPO / 'docs/reference/support.md'
HEAD, METHOD, FAMILY = 'Linear', 'LoRA', 'vit'  # what stands still while two others vary
INSTEAD = {'resnetv2': 'Full'}  # a family without operations, which LoRA changes
ON = {'DenseCLIP': 'tiny', 'ZegCLIP': 'tiny'}  # heads that the family above cannot feed
UNLINKED, TRAINS = 'unlinked', named_matrix.TRAINS
UNREACHED = 'which is not reached from'
COMMAND = 'make support'
OPTIONAL = {case.cfg['type'] for case in CASES if case.needs}  # may or may not be installed


def methods() -> list[str]:
    """Returns the names of all registered methods but those of optional libraries."""
    PEFT_METHODS.import_from_location()
    return sorted(PEFT_METHODS.module_dict.keys() - OPTIONAL, key=str.lower)


def families() -> dict[str, list[str]]:
    """Returns family -> tiny encoders of it, whose names begin with the family's."""
    grouped: dict[str, list[str]] = {}
    for name in ENCODERS:
        grouped.setdefault(name.partition('_')[0], []).append(name)
    return grouped


def configs(method: str) -> list[dict]:
    """Returns the small configs of a method that the contract tests run."""
    rows = [case.cfg for case in CASES if isinstance(case.cfg, dict)]
    found = [cfg for cfg in rows if cfg['type'] == method]
    assert found, f'{method} has no row in tests/peft/cases.py'
    return found


@functools.cache
def train(method: str, encoder: str, head: str, *, four_maps: bool = False) -> str | None:
    """Builds a model and does one training step; returns why it is refused, None if it is not.

    Args:
        method: Its name.
        encoder: Name of a tiny encoder, or of a family with ``four_maps``.
        head: Its name.
        four_maps: Whether the encoder gives four maps.

    Returns:
        `UNLINKED` if only the method's queries are refused; what trains after all with another row
        of tests/peft/cases.py, or on another map, ends in "Trains with ...".

    Raises:
        AssertionError: If the loss, or a gradient, is not finite, or one is missing.
    """
    config = FOUR_MAPS[encoder] if four_maps else ENCODERS[encoder]
    first, *others = configs(method)
    reason = _refusal(first, config, HEADS[head])
    if reason is None:
        return None
    linked = 'link_to_queries' in inspect.signature(PEFT_METHODS.get(method)).parameters
    if linked and _refusal({**first, 'link_to_queries': False}, config, HEADS[head]) is None:
        return UNLINKED
    for other in others:
        if _refusal(other, config, HEADS[head]) is None:
            changed = {k: v for k, v in other.items() if k not in first or v != first[k]}
            options = ', '.join(f'{key}={value!r}' for key, value in changed.items())
            return f'{reason}. {TRAINS} {options}'
    if UNREACHED in reason and _refusal(first, config, _on_second_map(HEADS[head])) is None:
        return f'{reason}. {TRAINS} in_index=1'
    return reason


def _on_second_map(head: dict) -> dict:
    cfg = head['decode_head']
    parts = {'heads': [{**part, 'in_index': 1} for part in cfg.get('heads', ())]}
    return {**head, 'decode_head': {**cfg, **(parts if 'heads' in cfg else {'in_index': 1})}}


def _refusal(peft: dict, encoder: dict, head: dict) -> str | None:
    try:
        _step(peft, encoder, head)
    except UserError as error:
        return str(error)
    return None


def _step(peft: dict, encoder: dict, head: dict) -> None:
    torch.manual_seed(0)
    peft = {key: value for key, value in peft.items() if key != 'num_classes'}  # is filled in
    words = PEFT_METHODS.get(peft['type']).reads_text
    encoder = with_joint(encoder, 8 if words or reads_joint(head) else None)
    if reads_norm(head) and 'final_norm' in encoder:  # mmpretrain's own class norms its last map
        encoder = with_norm(encoder)
    if words:
        names = [f'class {i}' for i in range(head.get('num_classes', 3))]
        head = {'text': dict(type='ClassTable', classes=names, init_seed=0), **head}
    backbone = dict(type='PEFTBackbone', encoder=encoder, peft=peft)
    cfg = {'type': 'PEFTSegmentor', 'backbone': backbone, 'num_classes': 3, **head}
    model = MODELS.build(cfg).train()
    samples = _samples(model.num_classes)
    loss, _ = model.parse_losses(model.loss(torch.randn(2, 3, 32, 64), samples))
    assert math.isfinite(loss.item()), cfg
    optimizer = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='TrainableOptimConstructor',
            optim_wrapper_cfg=dict(optimizer=dict(type='AdamW', lr=1e-3)),
        )
    )(model)
    loss.backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    _check_reached(trained, head['decode_head']['type'])
    bad = [n for n, p in trained.items() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not bad, (bad, cfg)
    optimizer.step()
    assert all(torch.isfinite(p).all() for p in trained.values()), cfg


def _check_reached(trained: dict[str, torch.nn.Parameter], head: str) -> None:
    """Refuses a head whose one map some branch of the encoder does not lead to (DDRNet)."""
    method = [name for name in trained if name.startswith('backbone.')]
    without = [name for name, p in trained.items() if p.grad is None]
    if without and set(without) < set(method):
        raise UserError(
            f'{head} reads one map, {UNREACHED} {len(without)} of the {len(method)} trained '
            'tensors of the method: choose another by in_index'
        )


def _samples(num_classes: int) -> list[SegDataSample]:
    labels = torch.randint(0, num_classes, (2, 1, 32, 64))
    meta = dict(ori_shape=(32, 64), img_shape=(32, 64))
    return [SegDataSample(metainfo=meta, gt_sem_seg=PixelData(data=label)) for label in labels]


def by_encoder(method: str) -> dict[str, str]:
    """Returns family -> '' or why this method is refused for it."""
    return _row(families(), lambda encoder: train(method, encoder, HEAD))


def heads_by_encoder(head: str) -> dict[str, str]:
    """Returns family -> '' or why this head is refused for it."""

    def probe(family: str) -> str | None:
        return train(INSTEAD.get(family, METHOD), family, head, four_maps=True)

    return _row({family: [family] for family in families()}, probe)


def by_head(method: str) -> dict[str, str]:
    """Returns head -> '' or why this method is refused with it."""

    def probe(head: str) -> str | None:
        # which has a joint space, that methods with text need
        family = 'tiny' if PEFT_METHODS.get(method).reads_text else ON.get(head, FAMILY)
        return train(method, family, head, four_maps=True)

    return _row({head: [head] for head in HEADS}, probe)


def _row(columns: dict[str, list[str]], probe: Callable[[str], str | None]) -> dict[str, str]:
    """Returns what probing each member of each column says, '' where none is refused."""
    row = {}
    for column, members in columns.items():
        reasons = {member: probe(member) for member in members}
        refused = {member: reason for member, reason in reasons.items() if reason}
        row[column] = next(iter(refused.values()), '')
        if refused and len(refused) < len(members):
            taken = ', '.join(member for member in reasons if member not in refused)
            row[column] = f'only {taken}: {row[column]}'
    return row


def document(named: dict[str, dict] | None = None) -> str:
    """Returns the text of docs/reference/support.md.

    Args:
        named: What was found out about named models; see `named_matrix.table`, which is the
            default.
    """
    reasons: list[str] = []
    groups = families()
    tables = [
        _table('Method', methods(), groups, by_encoder, reasons),
        _table('Head', HEADS, groups, heads_by_encoder, reasons),
        _table('Method', methods(), HEADS, by_head, reasons),
    ]
    found = named_matrix.section(
        named_matrix.table() if named is None else named, lambda why: _numbered(why, reasons)
    )
    tried = '; '.join(f'{name}: {", ".join(members)}' for name, members in groups.items())
    notes = [f'{i}. {reason}' for i, reason in enumerate(reasons, start=1)]
    return '\n'.join(
        [
            '# What works with what',
            '',
            f'Written by `{COMMAND}`; `tests/test_matrix.py` fails if it is out of date.',
            '',
            '- **yes**: a tiny model of the kind was built and trained one step, with a finite',
            '  loss and a finite gradient for every trainable parameter.',
            '- **no (n)**: building it is an error, with the message n below.',
            '- **options (n)**: the defaults are that error, or do not train a part of the method;',
            '  other options train.',
            f'- **{UNLINKED}**: the head reads no queries; a method that makes queries needs',
            '  `link_to_queries=False`.',
            '',
            f'Each table varies two parts and keeps the third ({HEAD} head, {METHOD}, {FAMILY};',
            'heads on ' + ', '.join(f'{f} with {method}' for f, method in INSTEAD.items()) + ';',
            ', '.join(f'{head} on {family}' for head, family in ON.items()) + ').',
            'Not every combination of the three was tried, and the tables do not tell accuracy.',
            f'[{named_matrix.TITLE}](#{named_matrix.TITLE.lower().replace(" ", "-")}) are below.',
            '',
            f'Not tried, because they need an optional library: {", ".join(sorted(OPTIONAL))}.',
            '',
            f'Encoders (tests/encoders/tiny.py): {tried}.',
            *('', f'## Method and encoder, with the {HEAD} head', '', *tables[0]),
            *('', f'## Head and encoder, with {METHOD}', '', *tables[1]),
            *('', f'## Method and head, on {FAMILY}', '', *tables[2]),
            *('', f'## {named_matrix.TITLE}', '', *found),
            *('', '## Messages', '', *notes, ''),
        ]
    )


def _table(
    corner: str,
    rows: Iterable[str],
    columns: Iterable[str],
    probe: Callable[[str], dict[str, str]],
    reasons: list[str],
) -> list[str]:
    lines = [f'| {corner} | {" | ".join(columns)} |', f'|---|{"---|" * len(list(columns))}']
    for name in rows:
        cells = []
        for reason in probe(name).values():
            if reason in ('', UNLINKED):
                cells.append(reason or 'yes')
                continue
            cells.append(_numbered(reason, reasons))
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return lines


def _numbered(reason: str, reasons: list[str]) -> str:
    """Returns the text of a cell, and puts its message on the list."""
    if reason not in reasons:
        reasons.append(reason)
    answer = 'options' if TRAINS in reason else 'no'
    return f'{answer} ({reasons.index(reason) + 1})'


def main() -> None:
    """Writes the document, and the page of methods."""
    import rein_seg.apis  # noqa: F401  registers everything
    from rein_seg.checkpoint import atomic_path
    from tests import methods_page

    init_default_scope('mmseg')
    pages = {methods_page.DOCUMENT: methods_page.document(), DOCUMENT: document()}
    for path, text in pages.items():
        with atomic_path(path) as temporary:
            temporary.write_text(text)


if __name__ == '__main__':
    main()
