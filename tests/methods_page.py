"""The page of methods, made of what their classes say: docs/reference/methods.md.

make support
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

from mmseg.registry import MODELS

from rein_seg.models.backbone import PEFTBackbone
from rein_seg.peft import PEFTMethod
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import (
    Anatomy,
    BranchSite,
    NormSite,
    OpSite,
    ParamSite,
    SeqSite,
    Site,
    StreamSite,
)
from tests.encoders.tiny import ENCODERS, FOUR_MAPS
from tests.matrix import COMMAND, configs, methods
from tests.paths import REPO

DOCUMENT = REPO / 'docs/reference/methods.md'
KINDS: dict[
    type[Site], tuple[str, str]
] = {  # name of a kind of site, and the field that tells sites apart
    OpSite: ('OP', 'role'),
    NormSite: ('NORM', 'role'),
    StreamSite: ('STREAM', 'where'),
    BranchSite: ('BRANCH', 'branch'),
    SeqSite: ('SEQ', ''),
    ParamSite: ('PARAM', 'role'),
}
HEAD = f"""# Methods

Written by `{COMMAND}` from the classes in `rein_seg/peft/methods/`. Their docstrings explain the
arguments and the differences from the source. See also [what works with what](support.md) and
[sites](../background/sites.md).

The sites are those of a plain vision transformer; other encoders have their own. Arguments whose
default is None are left out. Merges: `merge()` writes the method into the encoder's weights,
exactly.

| Method | Source | Sites | Defaults | Merges | Config |
|---|---|---|---|---|---|
"""
TAIL = """
## Several at once

`peft=[dict(type='LoRA'), dict(type='BitFit')]` attaches methods in this order: where two change the
same tensor, the first acts first. A list is refused, with a message that says what to change, if

- two methods make queries for the head ({queries}: `link_to_queries=False` for all but one);
- two train the same parameter of the encoder ({owners});
- two carry prompts from block to block (`VPT` with `form='shallow'`);
- two move the content of the image (FRPT);
- one looks at the image with the frozen encoder first (CAVPT, FRPT), and `Full` trains it;
- a method that needs the plain output of an operation ({readers}) follows a method that changes it.

The list merges if each of its methods does.
"""


def document() -> str:
    """Returns the text of docs/reference/methods.md."""
    rows = ''.join(f'| {" | ".join(_row(name))} |\n' for name in methods())
    tail = TAIL.format(
        queries=_names(lambda method, _: method.query_dims is not None),
        owners=_names(lambda method, anatomy: method.owned_parameters(anatomy)),
        readers=_names(lambda method, _: method.reads_operations),
    )
    return HEAD + rows + tail


def _names(holds: Callable[[PEFTMethod, Anatomy], Any]) -> str:
    """Returns the names of the methods that this holds for."""
    backbones = {name: _backbone(name) for name in methods()}
    return ', '.join(n for n, built in backbones.items() if holds(built.peft, built.anatomy))


def _row(name: str) -> tuple[str, ...]:
    cls = PEFT_METHODS.get(name)
    method = _backbone(name).peft
    merges = 'yes' if method.why_not_mergeable is None else f'no: {method.why_not_mergeable}'
    return (f'`{name}`', _source(cls), _sites(method), _defaults(cls), merges, _config(name))


@functools.cache
def _backbone(name: str) -> PEFTBackbone:
    reads_text = PEFT_METHODS.get(name).reads_text
    encoder = ENCODERS['clip_joint'] if reads_text else FOUR_MAPS['vit']
    cfg = dict(type='PEFTBackbone', encoder=encoder, peft=configs(name)[0])
    return MODELS.build(cfg)


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
