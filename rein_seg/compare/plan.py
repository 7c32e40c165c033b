"""Plans a comparison: variants of configs, each under a name that makes a folder."""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.registry import METRICS

from rein_seg.checkpoint import atomic_path
from rein_seg.compare.aggregate import choose_metrics
from rein_seg.compare.request import KEY, Method
from rein_seg.config.load import load_config
from rein_seg.encoders import build_encoder
from rein_seg.errors import UserError
from rein_seg.evaluation import find_domain_metric
from rein_seg.export.count import build_shapes

_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_+-]*')
_PEFT = 'model.backbone.peft'
# options that a comparison sets itself -> the argument to use instead
_OWN_OPTIONS = {'randomness.seed': '--seeds', 'work_dir': '--work-dir'}


@dataclass(frozen=True)
class Variant:
    """A config with a method, trained once for each seed.

    Args:
        name: Name, unique in the comparison, also of its folder.
        config: Path of the config, as given.
        content: The resolved config, in plain types, without ``work_dir``.
    """

    name: str
    config: str
    content: dict[str, Any]

    def with_seed(self, seed: int) -> dict[str, Any]:
        """Returns the resolved config of one run; its seed also chooses a few-shot training set."""
        randomness = {**self.content['randomness'], 'seed': seed}
        loader = _with_shot_seed(self.content['train_dataloader'], seed)
        return {**self.content, 'randomness': randomness, 'train_dataloader': loader}

    def write(self, folder: Path) -> Path:
        """Writes the resolved config below the comparison's folder; returns its path."""
        path = folder / self.name / f'{self.name}.py'
        lines = [f'# {self.name}, resolved from {Path(self.config).name} by rein-seg compare']
        lines += [f'{key} = {value!r}' for key, value in self.content.items()]
        with atomic_path(path) as temporary:
            temporary.write_text('\n'.join(lines) + '\n')
        return path


def plan_variants(
    configs: Sequence[str],
    *,
    peft: Sequence[Method] = (),
    cfg_options: Mapping[str, Any] | None = None,
) -> list[Variant]:
    """Loads every config with every method, and builds each model without its weights.

    Args:
        configs: Config files.
        peft: Methods that replace the configs' own, as for `parse_peft`; empty keeps them.
        cfg_options: Dotted names -> values, for all variants.

    Raises:
        UserError: If a name is used twice or cannot name a folder, a config or a method does not
            load or build, or the configs have different benchmarks.
    """
    for key in _OWN_OPTIONS.keys() & set(cfg_options or {}):
        raise UserError(f'--cfg-options {key}: the comparison sets it; use {_OWN_OPTIONS[key]}')
    if any(key.split('.')[0] == KEY for key in cfg_options or {}):
        raise UserError(f'--cfg-options {KEY}: use --peft, --seeds and --metric')
    methods = parse_peft(peft)
    wanted = []
    for config in configs:
        stem = Path(config).stem
        if not methods:
            wanted.append((stem, config, None))
        for name, method in methods.items():
            wanted.append((name if len(configs) == 1 else f'{stem}-{name}', config, method))
    # names and benchmarks are checked before any model is built, which may take a while
    loaded = [(name, path, _load(name, path, method, cfg_options)) for name, path, method in wanted]
    _check_names([name for name, *_ in loaded])
    _check_benchmark({name: cfg for name, _, cfg in loaded})
    for name, _, cfg in loaded:
        _check_builds(name, cfg)
    return [Variant(name, path, _plain(name, cfg)) for name, path, cfg in loaded]


def check_metrics(variants: Sequence[Variant], metrics: Sequence[str]) -> None:
    """Checks that the evaluator of every variant gives the requested scores.

    Metrics of other packages do not say their scores: they are checked in the results.

    Raises:
        UserError: If it does not give one of them.
    """
    for variant in variants:
        cfg = find_domain_metric(variant.content['val_evaluator']) if metrics else None
        if cfg is not None:
            choose_metrics(METRICS.build(dict(cfg)).columns, metrics)


def check_encoders(variants: Sequence[Variant]) -> None:
    """Loads the file of each encoder, so that a missing or damaged file fails before any run.

    Raises:
        UserError: If a file cannot be read or does not fit.
    """
    done: list[Any] = []
    for variant in variants:
        encoder = variant.content['model']['backbone']['encoder']
        published = encoder.get('checkpoint') is not None or encoder.get('pretrained')
        if not published or encoder in done:
            continue
        build_encoder(encoder)
        done.append(encoder)


def parse_peft(words: Sequence[Method]) -> dict[str, dict[str, Any]]:
    """Returns names -> method configs.

    Args:
        words: Each ``TYPE``, ``NAME=TYPE`` or ``NAME={JSON}``; JSON without a ``type`` takes the
            name as its type. A config may also give a dict: a method's config with a ``name``
            (defaults to its type). JSON and dicts may hold ``options``: dotted names -> values of
            the config, for this variant only.

    Raises:
        UserError: If JSON does not parse or is no object, a dict has no type, options are no
            dict, or a name is used twice.

    Example:
        >>> from rein_seg.compare.plan import parse_peft
        >>> parse_peft(['Rein', 'Small={"type": "LoRA", "rank": 2}'])
        {'Rein': {'type': 'Rein'}, 'Small': {'type': 'LoRA', 'rank': 2}}
    """
    methods: dict[str, dict[str, Any]] = {}
    for word in words:
        if not isinstance(word, (str, Mapping)):
            raise UserError(f"comparison.peft has {word!r}: expected 'LoRA' or dict(type='LoRA')")
        name, method = _from_dict(word) if isinstance(word, Mapping) else _from_word(word)
        if name in methods:
            raise UserError(
                f'--peft: two variants are called {name!r}; name them: --peft '
                f'{name}=... {name}2=\'{{"type": "{name}", ...}}\''
            )
        options = method.get('options', {})
        if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
            raise UserError(
                f'variant {name!r}: options is {options!r}, not a dict of names; expected '
                "dict(options={'optim_wrapper.optimizer.lr': 1e-4})"
            )
        methods[name] = method
    return methods


def _from_word(word: str) -> tuple[str, dict[str, Any]]:
    name, _, spec = word.partition('=')
    if spec.lstrip()[:1] in ('{', '[', '"'):
        return name, {'type': name, **_json_object(word, spec)}
    return name, {'type': spec or name}


def _from_dict(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    method = dict(given)
    if 'type' not in method:
        raise UserError(f"comparison.peft has {method!r}, without a type: give dict(type='LoRA')")
    return method.pop('name', method['type']), method


def _json_object(word: str, spec: str) -> dict[str, Any]:
    example = '\'Rein50={"type": "Rein", "num_tokens": 50}\''
    try:
        value = json.loads(spec)
    except json.JSONDecodeError as error:
        raise UserError(f'--peft {word!r} is not JSON: {error}; expected {example}') from error
    if not isinstance(value, dict):
        raise UserError(f'--peft {word!r} is not a JSON object; expected {example}')
    return value


def _load(
    name: str, path: str, method: dict[str, Any] | None, cfg_options: Mapping[str, Any] | None
) -> Config:
    options = copy.deepcopy(dict(cfg_options or {}))  # merging removes keys from them
    if method is not None:
        own = copy.deepcopy(method)
        changes = own.pop('options', {})
        options = {_PEFT: {'_delete_': True, **own}, **changes, **options}
    try:
        cfg = load_config(path, cfg_options=options)
    except UserError as error:
        if method is None:
            raise
        raise UserError(f'variant {name!r}: {error}') from error
    if not isinstance(cfg.get('randomness'), dict):
        raise UserError(f'config {path!r} has no randomness: set randomness = dict(seed=0)')
    return cfg


def _with_shot_seed(part: Any, seed: int) -> Any:
    """Returns a part of a config, in which the data sets of a few shots draw them by a seed."""
    if isinstance(part, list):
        return [_with_shot_seed(one, seed) for one in part]
    if not isinstance(part, Mapping):
        return part
    found = {key: _with_shot_seed(value, seed) for key, value in part.items()}
    return found if part.get('shots') is None else {**found, 'shot_seed': seed}


def _check_names(names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        if not _NAME.fullmatch(name):
            raise UserError(
                f'variant name {name!r} makes no folder: use letters, digits, "_", "+" and "-"'
            )
        # macOS and Windows do not tell upper from lower case
        if name.lower() in (other.lower() for other in names[:i]):
            raise UserError(
                f'two variants are called {name!r} (a file system may not tell upper from lower '
                'case): give the config files different names, or the methods, --peft NAME=TYPE'
            )


def _check_benchmark(cfgs: Mapping[str, Config]) -> None:
    seen = {name: _protocol(cfg) for name, cfg in cfgs.items()}
    first, *others = seen
    for name in others:
        for key, value in seen[name].items():
            if value != seen[first][key]:
                raise UserError(
                    f'{name} has {key} {value!r}, {first} has {seen[first][key]!r}: scores of '
                    'different benchmarks or protocols cannot stand side by side; make one '
                    'comparison for each'
                )


def _protocol(cfg: Config) -> dict[str, Any]:
    """Returns the settings that must be equal for scores to be comparable."""
    evaluator = cfg.get('val_evaluator') or {}
    metrics = [evaluator] if isinstance(evaluator, Mapping) else evaluator
    domains = {key: [metric.get(key) for metric in metrics] for key in ('source', 'targets')}
    return {
        'benchmark': cfg.benchmark.get('name'),
        'protocol': cfg.benchmark.get('protocol'),
        'num_classes': cfg.model.get('num_classes'),
        'benchmark.unseen': cfg.benchmark.get('unseen'),
        **{f'val_evaluator.{key}': value for key, value in domains.items()},
    }


def _check_builds(name: str, cfg: Config) -> None:
    """Builds the model without weights, so that a wrong argument fails before any run."""
    try:
        build_shapes(cfg)
    except UserError as error:
        raise UserError(f'variant {name!r}: {error}') from error
    except TypeError as error:
        if 'unexpected keyword argument' not in str(error):
            raise
        raise UserError(f'variant {name!r} has an argument that is not known: {error}') from error


def _plain(name: str, cfg: Config) -> dict[str, Any]:
    """Returns the config's content, after checking that a file can hold it."""
    content = {key: value for key, value in cfg.to_dict().items() if key != 'work_dir'}
    for key, value in content.items():
        try:
            same = ast.literal_eval(repr(value)) == value
        except (ValueError, SyntaxError):
            same = False
        if not same:
            raise UserError(
                f'variant {name!r}: {key} of the config holds more than numbers, strings, lists '
                'and dicts, so it cannot be stored with the run; name classes by their type'
            )
    return content
