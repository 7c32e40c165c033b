"""The page of methods, made of what their classes say: docs/reference/methods.md.

make support
"""

from __future__ import annotations

import inspect
import re

from mmseg.registry import MODELS

from rein_seg.peft import PEFTMethod
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import (
    BranchSite,
    NormSite,
    OpSite,
    ParamSite,
    SeqSite,
    Site,
    StreamSite,
)
from tests.encoders.tiny import FOUR_MAPS
from tests.matrix import COMMAND, configs, methods
from tests.paths import REPO

DOCUMENT = REPO / 'docs/reference/methods.md'
KINDS: dict[type[Site], tuple[str, str]] = {  # what a site is called, and what tells it from others
    OpSite: ('OP', 'role'),
    NormSite: ('NORM', 'role'),
    StreamSite: ('STREAM', 'where'),
    BranchSite: ('BRANCH', 'branch'),
    SeqSite: ('SEQ', ''),
    ParamSite: ('PARAM', 'role'),
}
HEAD = f"""# Methods

Written by `{COMMAND}` from the classes in `rein_seg/peft/`, whose docstrings explain the
arguments and say what differs from the source. See also [what works with what](support.md) and
[sites](../background/decisions/0002-sites-and-hooks.md).

Sites are those on a plain vision transformer; an encoder of another kind has its own. Arguments
whose default is None are left out. Merges: `merge()` writes it into the encoder's weights, exactly.

| Method | Source | Sites | Defaults | Merges | Config |
|---|---|---|---|---|---|
"""
TAIL = """
## Several at once

`peft=[dict(type='LoRA'), dict(type='BitFit')]` attaches methods one after another: where two change
the same thing, the first comes first. Refused, with a message that says what to change, are lists
in which

- two methods make queries for the head (Rein, FADA, SET: `link_to_queries=False` for all but one);
- two train the same parameter of the encoder (BitFit, SoMA's biases, Full);
- two carry prompts from block to block (`VPT` with `form='shallow'`);
- DoRA, or SoMA with biases, comes after a method that changes the output of the same operation.

The list merges if each of its methods does.
"""


def document() -> str:
    """Returns the text of docs/reference/methods.md."""
    return HEAD + ''.join(f'| {" | ".join(_row(name))} |\n' for name in methods()) + TAIL


def _row(name: str) -> tuple[str, ...]:
    cls = PEFT_METHODS.get(name)
    method = _attached(name)
    merges = 'yes' if method.why_not_mergeable is None else f'no: {method.why_not_mergeable}'
    return (f'`{name}`', _source(cls), _sites(method), _defaults(cls), merges, _config(name))


def _attached(name: str) -> PEFTMethod:
    cfg = dict(type='PEFTBackbone', encoder=FOUR_MAPS['vit'], peft=configs(name)[0])
    return MODELS.build(cfg).peft


def _source(cls: type) -> str:
    """Returns the reference after "Source:", up to what differs."""
    found = re.search(r'Source: (.+?)(?:\. (?=[A-Z])|\.$|\n\n|$)', inspect.getdoc(cls) or '', re.S)
    return ' '.join(found[1].split()) if found else 'a baseline'


def _sites(method: PEFTMethod) -> str:
    found: dict[str, list[str]] = {}
    for site in method.hooked_sites:
        kind, key = KINDS[type(site)]
        detail = str(getattr(site, key)) if key else ''
        if detail not in found.setdefault(kind, []):
            found[kind].append(detail)
    if not found:
        return 'all parameters' if method.trains_encoder else 'none'
    return '; '.join(f'{kind} {", ".join(details)}'.strip() for kind, details in found.items())


def _defaults(cls: type) -> str:
    given = {n: p.default for n, p in inspect.signature(cls).parameters.items()}
    shown = [f'{n}={v!r}' for n, v in given.items() if v is not None and v is not inspect._empty]
    return f'`{", ".join(shown)}`' if shown else ''


def _config(name: str) -> str:
    users = [p for p in sorted(REPO.glob('configs/*.py')) if f"type='{name}'" in p.read_text()]
    on_dinov2 = [path for path in users if path.stem.endswith('dinov2_gtav')]
    best = (on_dinov2 or users)[:1]
    return ''.join(f'[{path.stem}](../../configs/{path.name})' for path in best)
