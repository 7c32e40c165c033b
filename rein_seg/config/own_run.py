"""The config of a run on own data, generated from a few words."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rein_seg.config.data_file import read_benchmark
from rein_seg.config.definitions import OWN
from rein_seg.config.find import CONFIGS
from rein_seg.config.read import Generated, read
from rein_seg.errors import UserError, near_misses
from rein_seg.heads.cascade import head_class
from rein_seg.models.text_config import default_text
from rein_seg.registry import PEFT_METHODS, method_class

_BASE = CONFIGS / '_base_'
_FAST, _SLOW = 1e-3, 1e-4
_PARTS = ('neck', 'decode_head', 'auxiliary_head')
_TINY = ('vit_tiny', 'vit_tiny_random', 'sam_tiny')


@dataclass(frozen=True, kw_only=True)
class OwnRun:
    r"""The words of a run on own data.

    Args:
        data: The data file.
        encoder: Name of a file of ``_base_/encoders``.
        peft: Name of a PEFT method.
        head: Name of a file of ``_base_/heads``.
        max_iters: Iterations; None takes the schedule's.
        lr: Learning rate; None takes 1e-4 for ``Full`` and for large heads on large encoders, else
            1e-3.
        seed: Of the run; None takes the default.
        changes: ``size``, ``crop``, ``batch_size``, ``class_weights`` in place of the data file's.

    Example:
        >>> from pathlib import Path
        >>> import rein_seg.apis
        >>> from rein_seg.config.own_run import OwnRun
        >>> text = 'classes: [road, sky]\nimages: a\nlabels: b\nsplit: {val: 0.2}'
        >>> _ = Path('town.yaml').write_text(text)
        >>> run = OwnRun(data='town.yaml', peft='LoRA', max_iters=100).generate()
        >>> run.name
        'town.py'
        >>> print(run.text.partition('model')[0])
        # Own data: town.yaml; encoder vit_tiny, method LoRA, head linear.
        _base_ = [
            '_base_/encoders/vit_tiny.py',
            '_base_/heads/linear.py',
            '_base_/schedules/own_data.py',
            '_base_/runtime.py',
        ]
        benchmark = 'town.yaml'
        <BLANKLINE>
    """

    data: str
    encoder: str = 'vit_tiny'
    peft: str = 'Rein'
    head: str = 'linear'
    max_iters: int | None = None
    lr: float | None = None
    seed: int | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    def generate(self) -> Generated:
        """Returns the config.

        Raises:
            UserError: If a word is unknown, or the data file has a mistake.
        """
        changes = {key: value for key, value in self.changes.items() if value is not None}
        benchmark = read_benchmark(self.data, changes)
        _check('encoder', self.encoder, _names('encoders'))
        _check('head', self.head, _names('heads'))
        _check('peft', self.peft, _methods())
        if self.lr is not None and not 0 < self.lr <= 10:  # neither is nan
            raise UserError(f'lr={self.lr}: expected a number above 0, at most 10; correct it')
        named = (
            f'dict({_arguments(dict(data=self.data, **changes))})' if changes else repr(self.data)
        )
        head = read(f'_base_/heads/{self.head}.py').content
        parts = ''.join(f'    {part}={{{{_base_.{part}}}}},\n' for part in _PARTS if part in head)
        if 'text_branch' in head:  # mmengine keeps the name `text` for itself
            parts += '    text={{_base_.text_branch}},\n'
        elif text := default_text({part: head.get(part) for part in _PARTS}, {'type': self.peft}):
            parts += f'    text=dict({_arguments(text)}),\n'
        peft = {'type': self.peft, **_queries(self.peft, head['decode_head'])}
        text = (
            f'# Own data: {_one_line(self.data)}; encoder {self.encoder}, method {self.peft}, '
            f'head {self.head}.\n'
            '_base_ = [\n'
            f"    '_base_/encoders/{self._encoder_file()}.py',\n"
            f"    '_base_/heads/{self.head}.py',\n"
            "    '_base_/schedules/own_data.py',\n"
            "    '_base_/runtime.py',\n"
            ']\n'
            f'benchmark = {named}\n'
            'model = dict(\n'
            f'    backbone=dict(encoder={{{{_base_.encoder}}}}, peft=dict({_arguments(peft)})),\n'
            f'{parts})\n'
            f'optim_wrapper = dict(optimizer=dict(lr={self._rate()!r}))\n'
        )
        text += '' if self.max_iters is None else _length(self.max_iters)
        text += '' if self.seed is None else f'randomness = dict(seed={self.seed})\n'
        return Generated(f'{benchmark.name.removeprefix(OWN)}.py', text)

    def _encoder_file(self) -> str:
        """Returns the encoder's file: SAM's mask decoder reads the maps of SAM's neck."""
        neck = f'{self.encoder}_neck'
        return neck if self.head == 'sam' and neck in _names('encoders') else self.encoder

    def _rate(self) -> float:
        if self.lr is not None:
            return self.lr
        small = self.encoder in _TINY or self.head == 'linear'
        return _FAST if small and self.peft != 'Full' else _SLOW


def _length(iterations: int) -> str:
    """Returns the lines of a length: warm-up, and validations of which the last is at the end."""
    each = next(iterations // n for n in (2, 3, 1) if iterations % n == 0)
    warm = min(20, iterations // 5)
    first = "    dict(type='LinearLR', start_factor=0.01, begin=0, end={warm}, by_epoch=False),\n"
    return (
        f'max_iters = {iterations}\n'
        f'train_cfg = dict(val_interval={each})\n'
        f'default_hooks = dict(checkpoint=dict(interval={each}))\n'
        'param_scheduler = [\n'
        f'{first.format(warm=warm) if warm else ""}'
        f"    dict(type='PolyLR', eta_min=0.0, power=0.9, begin={warm}, end=max_iters, "
        'by_epoch=False),\n'
        ']\n'
    )


def _names(kind: str) -> list[str]:
    return sorted(path.stem for path in (_BASE / kind).glob('*.py'))


def _methods() -> list[str]:
    """Returns the names of the methods that need no argument."""
    PEFT_METHODS.import_from_location()
    taken = {
        name: inspect.signature(cls).parameters.values()
        for name, cls in PEFT_METHODS.module_dict.items()
    }
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        name
        for name, parameters in taken.items()
        if not any(p.kind in named and p.default is p.empty for p in parameters)
    ]


def _check(key: str, word: str, known: list[str]) -> None:
    if word not in known:
        raise UserError(f'{key}={word!r}; {near_misses(word, known)}')


def _queries(peft: str, head: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments that fit a method's queries to a head."""
    taken = inspect.signature(method_class(peft) or object).parameters
    if 'link_to_queries' not in taken:
        return {}
    cls = head_class(head)
    if cls is None or 'query_dims' not in cls.filled_in:
        return {'link_to_queries': False}
    sizes = {'num_tokens': head.get('num_queries'), 'query_dims': head.get('feat_channels')}
    return {
        key: value
        for key, value in sizes.items()
        if value is not None and key in taken and value != taken[key].default
    }


def _arguments(values: Mapping[str, Any]) -> str:
    return ', '.join(f'{key}={value!r}' for key, value in values.items())


def _one_line(path: str) -> str:
    return Path(path).name.replace('\n', ' ')
