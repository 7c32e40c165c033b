"""The page of config keys: their meanings, and the arguments that the classes document."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.registry import Registry
from mmseg.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    TRANSFORMS,
)

from rein_seg.config.definitions import Benchmark, Domain, Protocol
from rein_seg.config.schema import keys as schema
from rein_seg.config.schema.forms import Built, Named, OneOf, Table, words
from rein_seg.registry import PEFT_METHODS
from tests.paths import REPO

DOCUMENT = REPO / 'docs/reference/config.md'
HEAD = """# Config keys

Written by `make support` from the docstrings of the classes.

A config is a Python file. `_base_` names the files it inherits from; a key of the file overrides
the same key of a base, and dicts are merged. `--cfg-options a.b=1` overrides a value from the
command line. `rein-seg show CONFIG [KEY]` prints each value and who set it.

## Top level

| key | values | meaning |
|---|---|---|
"""
KEYS = {
    'auto_scale_lr': 'mmengine: whether the learning rate follows the batch size',
    'benchmark': 'name of a shipped benchmark, or a dict that describes your own: `name`, '
    '`protocol`, `num_classes`, `crop_size`, `test_cfg`, `selection`, `evaluated_as`, `unseen`, '
    '`names`',
    'cache_dir': 'folder for decoded copies of the training data; see [Data sets]'
    '(datasets.md#load-faster)',
    'comparison': 'what `rein-seg compare` runs: `peft`, `seeds`, `metrics`; see [Compare methods]'
    '(../guides/compare.md)',
    'compile': 'True: training steps go through `torch.compile`',
    'custom_hooks': 'hooks beside the default ones',
    'custom_imports': 'modules to import when the config is loaded: `dict(imports=[...])`',
    'data_root': 'folder of the data; reaches every data set without a `data_root` of its own',
    'default_hooks': 'timer, logger, schedule, checkpoints (`checkpoint.save_best`, `interval`), '
    'early stopping',
    'default_scope': 'registry that names are looked up in: `mmseg`',
    'ema': 'average of the trained weights: `dict(begin=12000, momentum=0.0002)`; None: no average',
    'env_cfg': 'cuDNN, processes, distributed backend; `dist_cfg.timeout`: seconds that a process '
    'waits for another (1800)',
    'epochs': 'length in epochs, for schedules without iterations',
    'experiment_name': 'mmengine: name of the run',
    'expected_images': 'numbers of images by loader and domain, for `rein-seg check-data`',
    'launcher': 'none or pytorch; set by the command line',
    'load_from': 'weights to start from',
    'new_method': 'whether `load_from` gives text, neck and heads alone; the method starts anew',
    'log_level': 'INFO, WARNING, ...',
    'log_processor': 'how the log averages values',
    'max_iters': 'iterations of the training; reaches the loop and the schedules',
    'model': 'the model, see [below](#model)',
    'model_wrapper_cfg': 'mmengine: wrapper of the model under several processes',
    'sync_bn': 'mmengine: batch norms of all processes share their statistics',
    'optim_wrapper': 'optimizer, gradient clipping, accumulation, autocast',
    'param_scheduler': 'schedules of learning rate and weight decay',
    'protocol': 'one of `protocols`: fills the values that the config leaves open; see [Protocols]'
    '(protocols.md)',
    'protocols': 'protocols of your own: name -> changes of a shipped one, '
    '`dict(mine=dict(base="rein512", max_iters=20000))`',
    'randomness': '`dict(seed=42)`',
    'resume': 'whether to continue from the newest checkpoint; `--resume` sets it',
    'runner_type': '`PEFTRunner`',
    'test_cfg': 'loop of the test',
    'test_dataloader': 'data of `rein-seg test`',
    'test_evaluator': 'metric of `rein-seg test`; see [Metrics](metrics.md)',
    'train_cfg': 'loop of the training: `max_iters`, `val_interval`',
    'train_dataloader': 'batch size, workers, sampler and data set of the training',
    'val_cfg': 'loop of the validation',
    'val_dataloader': 'data of the validation in a training run',
    'val_evaluator': 'metric of the validation',
    'vis_backends': 'where the visualizer writes',
    'visualizer': 'mmseg: the visualizer',
    'work_dir': 'folder of the run; `--work-dir` sets it',
}
SECTIONS: dict[str, tuple[Registry, str, str]] = {  # title -> registry, package, where it is used
    'Model': (MODELS, 'rein_seg.models', '`model` and `model.backbone`'),
    'Encoders': (
        MODELS,
        'rein_seg.encoders',
        '`model.backbone.encoder`, which also takes `name`, `checkpoint` (a weights file, an '
        'address or a hub id), `checkpoint_url` (where a missing file is downloaded from), '
        '`init_seed` (random weights), `pretrained` (timm), `mean` and `std`',
    ),
    'Methods': (
        PEFT_METHODS,
        'rein_seg.peft.methods',
        '`model.backbone.peft`, one of them or a list; see [Methods](methods.md) for sources and '
        'sites',
    ),
    'Text branches': (
        MODELS,
        'rein_seg.text',
        '`model.text`; see [Classes as words](../guides/text.md)',
    ),
    'Necks': (MODELS, 'rein_seg.necks', '`model.neck`'),
    'Heads': (MODELS, 'rein_seg.heads', '`model.decode_head`'),
    'Data sets': (DATASETS, 'rein_seg.datasets', '`*_dataloader.dataset`'),
    'Samplers': (DATA_SAMPLERS, 'rein_seg.datasets', '`*_dataloader.sampler`'),
    'Transforms': (TRANSFORMS, 'rein_seg.datasets', 'a `pipeline`'),
    'Metrics': (METRICS, 'rein_seg.evaluation', '`*_evaluator`'),
    'Hooks': (HOOKS, 'rein_seg.engine', '`custom_hooks`, `default_hooks`'),
    'Optimizer': (OPTIM_WRAPPER_CONSTRUCTORS, 'rein_seg.engine', '`optim_wrapper.constructor`'),
}
CHECKED = """
Every value is checked before anything is built: type and range, the name of a class, the names and
types of its arguments. A wrong value ends the command with exit code 2 and a line that names key,
value, the values that are right, and the file or option that sets it. So does a top-level name that
nothing reads: no file of the config, no command, and no module of `custom_imports`. A variable that
a file reads, such as `encoder` of a base, is no part of the run and does not appear in its config.

Keys of the dicts that no class takes:

| key | values |
|---|---|
"""
DEFINITIONS = (Benchmark, Domain, Protocol)
DEFINED = """
## Benchmarks and protocols

Typed, frozen data of the package, in `rein_seg/config/benchmarks/` and
`rein_seg/config/protocols/`.
"""


def document() -> str:
    """Returns the text of docs/reference/config.md."""
    rows = ''.join(f'| `{k}` | {words(schema.KEYS[k])} | {text} |\n' for k, text in KEYS.items())
    sections = [_section(title, *entry) for title, entry in SECTIONS.items()]
    return (
        HEAD
        + rows
        + CHECKED
        + _tables()
        + ''.join(sections)
        + DEFINED
        + ''.join(map(_class, DEFINITIONS))
    )


def _tables() -> str:
    tables = [
        (place, form) for key, form in schema.KEYS.items() for place, form in _inside(key, form)
    ]
    rows = [
        f'| `{place}.{key}` | {words(form)} |\n'
        for place, table in tables
        for key, form in table.items()
    ]
    return ''.join(dict.fromkeys(rows))


def _inside(place: str, form: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields place and keys of every dict that no class takes."""
    if isinstance(form, OneOf):
        for one in form.forms:
            yield from _inside(place, one)
    elif isinstance(form, Named):
        yield from _inside(f'{place}.NAME', form.part)
    elif isinstance(form, (Table, Built)):
        keys = (form.keys if isinstance(form, Table) else form.extra) or {}
        yield place, keys
        for key, part in keys.items():
            yield from _inside(f'{place}.{key}', part)


def _section(title: str, registry: Registry, package: str, where: str) -> str:
    registry.import_from_location()
    known = sorted(registry.module_dict.items())
    classes = [cls for _, cls in known if inspect.isclass(cls) and _is_public(cls, package)]
    return f'\n## {title}\n\nFor {where}.\n' + ''.join(map(_class, dict.fromkeys(classes)))


def _class(cls: type) -> str:
    first = _cell((inspect.getdoc(cls) or '').partition('\n\n')[0])
    return f'\n### {cls.__name__}\n\n{first}\n{_table(cls)}'


def _is_public(cls: type, package: str) -> bool:
    return cls.__module__.startswith(package) and not cls.__name__.startswith('_')


def _table(cls: type) -> str:
    meanings = dict(_arguments(inspect.getdoc(cls) or ''))
    rows = []
    for name, p in inspect.signature(cls).parameters.items():
        if name in meanings or p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            default = '' if repr(p.default).startswith('<') else f'`{p.default!r}`'
            rows.append(f'| `{name}` | {default} | {_cell(meanings.get(name, ""))} |\n')
    return '\n| argument | default | meaning |\n|---|---|---|\n' + ''.join(rows) if rows else ''


def _arguments(doc: str) -> Iterator[tuple[str, str]]:
    """Yields name and description of each entry under ``Args:``."""
    found = re.search(r'^Args:\n((?:    .*\n|\n)+)', doc + '\n', re.M)
    for entry in re.findall(r'^    (\S.*(?:\n {8}.*)*)', found[1] if found else '', re.M):
        name, _, text = entry.partition(':')
        yield name.strip('*` '), text


def _cell(text: str) -> str:
    """Returns a text as one table cell."""
    return ' '.join(text.replace('``', '`').split()).replace('|', '\\|')
