"""Named protocols: how a number is made, filled into what a config leaves open.

A config has ``protocols``, name -> protocol, and chooses one by its ``protocol``. A protocol is a
dict; all but ``test_pipelines`` may be left out:

======================  ==========================================================================
``crop_size``           (h, w) of training crops
``batch_size, gpus``    images for each of so many GPUs; no ``gpus``: it is not known
``train_pipeline``      of every source
``optim_wrapper``       constructor, optimizer and ``paramwise_cfg``
``param_scheduler``     list; ``end=None`` is the last iteration
``max_iters``           iterations
``val_interval``        iterations between validations
``selection``           ``'last'``, or ``dict(metric=..., rule='greater')``
``also_selects``        further metrics that its numbers were chosen by
``ema``                 arguments of `TrainableEMAHook`
``sampler``             of the source; default `StreamSampler`, each image as often as another
``source_split``        the part of the source that trains, where that is not all of it
``test_cfg``            of the model
``test_pipelines``      domain -> pipeline; ``default`` for all others
``left_out``            ``training`` and ``evaluation``: what belongs to it and is missing here
``not_known``           what is not known of it, and what stands in its place
======================  ==========================================================================

``benchmark.evaluated_as`` names, for a domain, another one's pipeline. A benchmark without
``protocols`` has one: its ``benchmark.protocol``, with the sizes of ``benchmark``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from rein_seg.config.builtin import published, published_benchmark
from rein_seg.config.config_paths import LOADERS, datasets_of, domain_metrics, same
from rein_seg.errors import UserError, near_misses

LAST = 'last'
_KEYS = (
    'crop_size', 'batch_size', 'gpus', 'train_pipeline', 'optim_wrapper', 'param_scheduler',
    'max_iters', 'val_interval', 'selection', 'also_selects', 'ema', 'sampler',
    'source_split', 'test_cfg', 'test_pipelines', 'left_out', 'not_known',
)  # fmt: skip
# names that may be absent from a config's file: a protocol brings them, or nothing does
OPEN_NAMES = frozenset({'max_iters', 'optim_wrapper', 'param_scheduler', 'ema', 'cache_dir'})
DEFAULT_SAMPLER = {'type': 'StreamSampler'}


@dataclass(frozen=True)
class Fact:
    """One thing that a protocol fixes.

    Args:
        use: Whom it is for: training, val, test, or scoring (the last two).
        name: What to call it.
        node: Part of the config that takes it.
        key: Its name there.
        value: What the protocol says; None says nothing.
        copies: Further parts that `complete` copies it into.
    """

    use: str
    name: str
    node: Any
    key: str
    value: Any
    copies: tuple[Any, ...] = ()


def chosen_protocol(cfg: Config) -> tuple[str | None, Mapping[str, Any]]:
    """Returns name and content of the protocol that a config chose.

    The sizes that it leaves out are those of ``benchmark``, which may be all there is.

    Raises:
        UserError: If there is no such protocol, or its content has an unknown key.
    """
    benchmark = cfg.benchmark
    sizes = {key: benchmark[key] for key in ('crop_size', 'test_cfg') if key in benchmark}
    if not cfg.get('protocols'):
        return benchmark.get('protocol'), sizes
    name = cfg.get('protocol')
    there = available(cfg)
    if name not in there:
        hint = f'{near_misses(str(name), there)} ' if there else ''
        raise UserError(
            f'protocol={name!r}; {hint}benchmark {cfg.benchmark.get("name")!r} has '
            f'{", ".join(there) or "none"}'
        )
    protocol = cfg.protocols[name]
    for key in set(protocol) - set(_KEYS):
        raise UserError(f'protocols.{name} has a key {key!r}; {near_misses(key, _KEYS)}')
    return name, {**sizes, **protocol}


def stated_protocol(cfg: Config) -> tuple[str | None, Mapping[str, Any]]:
    """Returns name and content of the chosen protocol, as shipped if its name is that of one.

    Raises:
        UserError: As `chosen_protocol`, or if the name is a shipped one's that is not there for
            this benchmark.
    """
    name, own = chosen_protocol(cfg)
    shipped = published()['protocols'].get(name)
    if shipped is None:
        return name, own
    benchmark = published_benchmark(cfg)
    if benchmark is None and cfg.get('protocols'):
        return name, shipped
    there = benchmark['protocols'] if benchmark else []
    if name not in there:
        raise UserError(
            f'protocol {name!r} is one of this package, and benchmark '
            f'{cfg.benchmark.get("name")!r} has {", ".join(there) or "no protocols"}: give your '
            'own a name of its own'
        )
    return name, {**benchmark['sizes'], **shipped}


def available(cfg: Config) -> list[str]:
    """Returns the names of the protocols that say how each test domain is evaluated."""
    if not cfg.get('protocols'):
        return [str(cfg.benchmark.get('protocol'))]
    open_ones = [d for d in datasets_of(cfg, LOADERS[1:]) if 'pipeline' not in d]
    return [
        name
        for name, protocol in cfg.protocols.items()
        if all(_test_pipeline(cfg, protocol, dataset) is not None for dataset in open_ones)
    ]


def fill_protocol(cfg: Config) -> None:
    """Fills in what the config's protocol fixes and the config leaves open, in place.

    What another protocol filled in before is taken out first: the config that a run left can be
    evaluated under any protocol of its benchmark.

    Raises:
        UserError: As `chosen_protocol`, or if the config has another protocol's name and no test
            data set would change.
    """
    before = cfg.benchmark.get('protocol')
    switched = before is not None and before != cfg.get('protocol', before)
    if switched and before in (cfg.get('protocols') or {}):
        for fact in list(facts(cfg, cfg.protocols[before])):
            for node in (fact.node, *fact.copies):
                _take_out(node, fact.key, fact.value)
    name, protocol = chosen_protocol(cfg)
    testing = list(datasets_of(cfg, LOADERS[1:]))
    if switched and testing and all('pipeline' in dataset for dataset in testing):
        raise UserError(
            f'protocol={name!r} reaches no data set: each has a pipeline of its own, that of '
            f'{before!r}; set those, or start from the config that this one was made of'
        )
    fixed = list(facts(cfg, protocol))
    iterations = _iterations(cfg) or protocol.get('max_iters')
    if iterations is not None and cfg.get('train_cfg'):
        cfg['max_iters'] = cfg.train_cfg['max_iters'] = iterations
    for fact in fixed:
        _fill_in(fact.node, fact.key, fact.value)
    if cfg.get('protocols'):
        cfg.benchmark['protocol'] = name
        for metric in domain_metrics(cfg):
            metric['protocol'] = name


def facts(cfg: Config, protocol: Mapping[str, Any]) -> Iterator[Fact]:
    """Yields what a protocol fixes, with the places where this config has it."""
    say = protocol.get
    yield Fact('training', 'crop_size', cfg.benchmark, 'crop_size', say('crop_size'), (cfg.model,))
    yield Fact('scoring', 'test_cfg', cfg.benchmark, 'test_cfg', say('test_cfg'), (cfg.model,))
    for use, loader in zip(('training', 'val', 'test'), LOADERS, strict=True):
        for dataset in datasets_of(cfg, (loader,)):
            if use == 'training':
                yield Fact(use, 'train_pipeline', dataset, 'pipeline', say('train_pipeline'))
            else:
                place = f'test_pipeline of {dataset.get("domain")}'
                pipeline = _test_pipeline(cfg, protocol, dataset)
                yield Fact(use, place, dataset, 'pipeline', pipeline)
    if cfg.get('train_dataloader'):
        node = cfg.train_dataloader
        yield Fact('training', 'batch_size', node, 'batch_size', say('batch_size'))
        yield Fact('training', 'sampler', node, 'sampler', say('sampler', DEFAULT_SAMPLER))
    for key in ('optim_wrapper', 'ema'):
        yield Fact('training', key, cfg, key, say(key))
    if cfg.get('train_cfg'):
        loop = cfg.train_cfg
        yield Fact('training', 'max_iters', loop, 'max_iters', say('max_iters'), (cfg,))
        yield Fact('training', 'val_interval', loop, 'val_interval', say('val_interval'))
        yield Fact('training', 'param_scheduler', cfg, 'param_scheduler', _schedule(cfg, protocol))
    selection, hooks = say('selection'), cfg.get('default_hooks') or {}
    if isinstance(selection, Mapping) and hooks.get('checkpoint'):
        yield Fact('training', 'selection', hooks.checkpoint, 'save_best', selection['metric'])
        yield Fact('training', 'selection', hooks.checkpoint, 'rule', selection['rule'])


def _schedule(cfg: Config, protocol: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Returns the protocol's schedules, ended by this config's last iteration."""
    if protocol.get('param_scheduler') is None:
        return None
    end = _iterations(cfg) or protocol.get('max_iters')
    parts = [dict(part) for part in protocol['param_scheduler']]
    return [{**part, 'end': end} if part.get('end', 0) is None else part for part in parts]


def _iterations(cfg: Config) -> int | None:
    loop = cfg.get('train_cfg') or {}
    return loop.get('max_iters') or cfg.get('max_iters')


def _test_pipeline(cfg: Config, protocol: Mapping[str, Any], dataset: Any) -> Any | None:
    domain = dataset.get('domain')
    pipelines = protocol.get('test_pipelines') or {}
    shipped = published_benchmark(cfg)
    data = shipped['data'].values() if shipped else ()
    its_own = any(node['domain'] == domain for nodes in data for node in nodes)
    names = shipped if its_own else cfg.benchmark
    like = (names.get('evaluated_as') or {}).get(domain, domain)
    return pipelines.get(like, pipelines.get('default'))


def _fill_in(node: Any, key: str, value: Any) -> None:
    """Sets what is open, inside dicts too; another ``type`` keeps its own arguments."""
    if value is None:
        return
    if key not in node:
        node[key] = copy.deepcopy(value)
    elif isinstance(value, Mapping) and _same_type(node[key], value):
        for name, part in value.items():
            _fill_in(node[key], name, part)


def _same_type(node: Any, value: Mapping[str, Any]) -> bool:
    """Says whether a part of a config is a dict that takes the same arguments."""
    if not isinstance(node, Mapping) or 'type' not in value:
        return isinstance(node, Mapping)
    return node.get('type', value['type']) == value['type']


def _take_out(node: Any, key: str, value: Any) -> None:
    """Removes what equals ``value``, inside dicts too."""
    if value is None or key not in node:
        return
    if same(node[key], value):
        node.pop(key)
    elif isinstance(value, Mapping) and isinstance(node[key], Mapping):
        for name, part in value.items():
            _take_out(node[key], name, part)
