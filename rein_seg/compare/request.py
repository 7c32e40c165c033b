"""Reads the ``comparison`` of a config, and writes the command that repeats a comparison.

``comparison = dict(peft=['Rein', dict(type='LoRA', rank=4, name='LoRA4')], seeds=[0, 1])``
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rein_seg.config.read import read
from rein_seg.errors import UserError, near_misses

KEY = 'comparison'
_SEEDS = (0, 1, 2)
Method = str | Mapping[str, Any]


@dataclass(frozen=True)
class ComparisonRequest:
    """The request for a comparison.

    Args:
        peft: Methods, as for `rein_seg.compare.plan.parse_peft`; empty keeps the configs' own.
        seeds: Seeds that each variant is run with.
        metrics: Scores to show; empty takes the default.
    """

    peft: Sequence[Method] = ()
    seeds: Sequence[int] = _SEEDS
    metrics: Sequence[str] = ()


def read_request(configs: Sequence[str], **given: Sequence[Any] | None) -> ComparisonRequest:
    """Returns the request: from the arguments, else from the config, else the default.

    Args:
        configs: Config files. With several, their ``comparison`` is not read.
        **given: Fields of `ComparisonRequest`; None leaves a field to the config.

    Raises:
        UserError: If the config's ``comparison`` has other fields, or the seeds are not different
            whole numbers >= 0.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.compare.request import read_request
        >>> _ = Path('c.py').write_text("comparison = dict(peft=['Rein', 'LoRA'], seeds=[0, 1])")
        >>> read_request(['c.py'], seeds=[5])
        ComparisonRequest(peft=['Rein', 'LoRA'], seeds=[5], metrics=())
    """
    said = _read(configs[0]) if len(configs) == 1 else {}
    request = ComparisonRequest(
        **{**said, **{key: value for key, value in given.items() if value is not None}}
    )
    seeds = list(request.seeds)
    whole = all(isinstance(seed, int) and not isinstance(seed, bool) for seed in seeds)
    if not seeds or not whole or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise UserError(f'--seeds {seeds}: expected different whole numbers >= 0')
    return request


def _read(path: str) -> dict[str, Any]:
    said = read(path).content.to_dict().get(KEY) or {}
    expected = f"{KEY} = dict(peft=['Rein', 'LoRA'], seeds=[0, 1], metrics=['mIoU'])"
    fields = list(ComparisonRequest.__dataclass_fields__)
    if not isinstance(said, Mapping):
        raise UserError(f'{path}: {KEY}={said!r}: expected {expected}')
    for key, value in said.items():
        if key not in fields:
            raise UserError(
                f'{path}: {KEY} has {key!r}; {near_misses(key, fields)}; expected {expected}'
            )
        if not isinstance(value, (list, tuple)):
            raise UserError(f'{path}: {KEY}.{key} is {value!r}, not a list; expected {expected}')
    return dict(said)


def command_line(
    configs: Sequence[str],
    *,
    given: Mapping[str, Sequence[Any] | None],
    cfg_options: Mapping[str, Any] | None,
    amp: bool,
) -> str:
    """Returns the command that repeats the comparison, in the default folder."""
    words = ['rein-seg', 'compare', *configs]
    flags = {'peft': '--peft', 'seeds': '--seeds', 'metrics': '--metric'}
    for key, flag in flags.items():
        words += [flag, *map(str, given.get(key) or ())] if given.get(key) else []
    if cfg_options:
        words += [
            '--cfg-options',
            *(f'{key}={_plain(value)}' for key, value in cfg_options.items()),
        ]
    return shlex.join([*words, *['--amp'] * amp])


def _plain(value: Any) -> str:
    return str(value).replace(' ', '') if isinstance(value, (list, tuple)) else str(value)
