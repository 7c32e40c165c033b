"""Which protocol a config chooses, and how it fills the config's gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmengine.config import Config

from rein_seg.config.builtin import benchmarks, protocols
from rein_seg.config.config_paths import LOADERS, datasets_of, domain_metrics, same
from rein_seg.config.definitions import Benchmark, Pipeline, Protocol, to_config
from rein_seg.errors import UserError, near_misses

_PARENT = 'base'  # of a protocol in a config: the name of the protocol that it changes


@dataclass(frozen=True)
class Fact:
    """One thing that a protocol fixes.

    Args:
        use: Whom it is for: training, val, test, or scoring (val and test).
        name: For messages.
        node: Part of the config that takes it.
        key: Its name there.
        value: By the protocol; None leaves it open.
        copies: Further parts that are filled from ``node`` later.
    """

    use: str
    name: str
    node: Any
    key: str
    value: Any
    copies: tuple[Any, ...] = ()


def shipped_benchmark(cfg: Config) -> Benchmark | None:
    """Returns the definition of the config's benchmark, None for a user's own."""
    return benchmarks().get(cfg.benchmark.get('name'))


def defined(cfg: Config, name: str) -> Protocol:
    """Returns a protocol as this config has it: its own changes over the shipped definition.

    Raises:
        UserError: If the config's definition has an unknown key, or changes an unknown protocol.
    """
    own = dict((cfg.get('protocols') or {}).get(name) or {})
    parent = own.pop(_PARENT, name)
    if parent != name and parent not in protocols():
        raise UserError(
            f'protocols.{name}.{_PARENT}={parent!r}; {near_misses(parent, protocols())}'
        )
    return protocols().get(parent, Protocol()).changed(name, own)


def stated(cfg: Config, name: str) -> Protocol:
    """Returns a protocol by definition: as shipped if its name and its benchmark are shipped."""
    benchmark = shipped_benchmark(cfg)
    if benchmark is not None and name in benchmark.protocol_names:
        sizes = {'crop_size': benchmark.crop_size, 'test_cfg': benchmark.test_cfg}
    else:
        sizes = {key: cfg.benchmark.get(key) for key in ('crop_size', 'test_cfg')}
    shipped = protocols().get(name)
    if shipped is not None and benchmark is None:
        return shipped
    protocol = shipped or defined(cfg, name)
    return replace(
        protocol, **{key: getattr(protocol, key) or value for key, value in sizes.items()}
    )


def available(cfg: Config) -> list[str]:
    """Returns the names of the protocols that say how each test domain is evaluated."""
    testing = list(datasets_of(cfg, LOADERS[1:]))
    open_ones = [dataset for dataset in testing if 'pipeline' not in dataset]
    return [
        name
        for name in _candidates(cfg)
        if not open_ones or _serves(cfg, defined(cfg, name), open_ones)
    ]


def _serves(cfg: Config, protocol: Protocol, datasets: Sequence[Any]) -> bool:
    """A protocol of sizes alone serves nobody and excludes nobody."""
    if not protocol.test_pipelines and protocol.name not in protocols():
        return True
    return all(_test_pipeline(cfg, protocol, dataset) is not None for dataset in datasets)


def _candidates(cfg: Config) -> list[str]:
    """Returns the names of the benchmark's protocols; a user's own benchmark may take any."""
    benchmark = shipped_benchmark(cfg)
    names = list(protocols()) if benchmark is None else benchmark.protocol_names
    said = cfg.benchmark.get('protocol')
    own = [*(cfg.get('protocols') or {}), *([said] if said is not None else [])]
    return list(dict.fromkeys([*names, *(name for name in own if name not in protocols())]))


def protocol_name(cfg: Config) -> str:
    """Returns the name that a config chooses: its ``protocol``, else ``benchmark.protocol``."""
    return cfg.get('protocol') or cfg.benchmark.get('protocol') or ''


def choose(cfg: Config) -> Protocol:
    """Returns the protocol that a config chooses.

    Raises:
        UserError: If there is no such protocol for this benchmark, or its definition has an unknown
            key.
    """
    name = protocol_name(cfg)
    if not name and not cfg.get('protocols'):
        return Protocol()
    there = available(cfg)
    if name not in there:
        raise UserError(_unavailable(cfg, name, there))
    return defined(cfg, name)


def _unavailable(cfg: Config, name: str, there: Sequence[str]) -> str:
    benchmark = f'benchmark {cfg.benchmark.get("name")!r} has {", ".join(there) or "none"}'
    if 'protocol' not in cfg and name in protocols():
        return (
            f'protocol {name!r} is one of this package, and {benchmark}: give your own a name of '
            'its own'
        )
    return f'protocol={name!r}; {near_misses(name, there) + " " if there else ""}{benchmark}'


def fill_protocol(cfg: Config) -> Protocol:
    """Fills the gaps of a config with the facts of its protocol, in place.

    The values of the protocol that filled it before are taken out first: the config that a run left
    can be evaluated under any protocol of its benchmark.

    Returns:
        The protocol.

    Raises:
        UserError: As `choose`, or if the config names another protocol than before and no test
            data set would change.
    """
    before = cfg.benchmark.get('protocol')
    switched = before is not None and before != cfg.get('protocol', before)
    if switched:
        for fact in list(facts(cfg, defined(cfg, before))):
            for node in (fact.node, *fact.copies):
                _take_out(node, fact.key, fact.value)
    protocol = choose(cfg)
    testing = list(datasets_of(cfg, LOADERS[1:]))
    if switched and testing and all('pipeline' in dataset for dataset in testing):
        raise UserError(
            f'protocol={protocol.name!r} reaches no data set: each has a pipeline of its own, as '
            f'under {before!r}; set those, or start from the config that this one was made of'
        )
    fixed = list(facts(cfg, protocol))
    iterations = _iterations(cfg) or protocol.max_iters
    if iterations is not None and cfg.get('train_cfg'):
        cfg['max_iters'] = cfg.train_cfg['max_iters'] = iterations
    for fact in fixed:
        _fill_in(fact.node, fact.key, fact.value)
    if protocol.name:
        cfg.benchmark['protocol'] = protocol.name
        for metric in domain_metrics(cfg):
            metric['protocol'] = protocol.name
    return protocol


def facts(cfg: Config, protocol: Protocol) -> Iterator[Fact]:
    """Yields what a protocol fixes, with the places where this config has it."""
    for use, key in (('training', 'crop_size'), ('scoring', 'test_cfg')):
        yield Fact(use, key, cfg.benchmark, key, getattr(protocol, key), (cfg.get('model') or {},))
    for use, loader in zip(('training', 'val', 'test'), LOADERS, strict=True):
        for dataset in datasets_of(cfg, (loader,)):
            if use == 'training':
                yield Fact(use, 'train_pipeline', dataset, 'pipeline', protocol.train_pipeline)
            else:
                name = f'test_pipeline of {dataset.get("domain")}'
                pipeline = _test_pipeline(cfg, protocol, dataset)
                yield Fact(use, name, dataset, 'pipeline', pipeline)
    if cfg.get('train_dataloader'):
        for key in ('batch_size', 'sampler'):
            yield Fact('training', key, cfg.train_dataloader, key, getattr(protocol, key))
    for key in ('optim_wrapper', 'ema'):
        yield Fact('training', key, cfg, key, getattr(protocol, key))
    if cfg.get('train_cfg'):
        loop = cfg.train_cfg
        yield Fact('training', 'max_iters', loop, 'max_iters', protocol.max_iters, (cfg,))
        yield Fact('training', 'val_interval', loop, 'val_interval', protocol.val_interval)
        yield Fact('training', 'param_scheduler', cfg, 'param_scheduler', _schedule(cfg, protocol))
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint')
    if isinstance(protocol.selection, Mapping) and checkpoint:
        for key, word in (('save_best', 'metric'), ('rule', 'rule')):
            yield Fact('training', 'selection', checkpoint, key, protocol.selection[word])


def _schedule(cfg: Config, protocol: Protocol) -> list[Any] | None:
    """Returns the protocol's schedules, ended by this config's last iteration."""
    if protocol.param_scheduler is None:
        return None
    end = _iterations(cfg) or protocol.max_iters
    parts = [dict(part) for part in protocol.param_scheduler]
    return [{**part, 'end': end} if part.get('end', 0) is None else part for part in parts]


def _iterations(cfg: Config) -> int | None:
    loop = cfg.get('train_cfg') or {}
    return loop.get('max_iters') or cfg.get('max_iters')


def _test_pipeline(cfg: Config, protocol: Protocol, dataset: Any) -> Pipeline | None:
    """Returns the transforms of a test domain; the names of a shipped one are by definition."""
    domain, benchmark = dataset.get('domain'), shipped_benchmark(cfg)
    shipped = [] if benchmark is None else [one.name for one in benchmark.every_domain()]
    like = cfg.benchmark.get('evaluated_as') or {}
    if benchmark is not None and domain in shipped:
        like = benchmark.evaluated_as()
    return protocol.pipeline_of(like.get(domain, domain))


def _fill_in(node: Any, key: str, value: Any) -> None:
    """Sets a gap, inside dicts too; another ``type`` keeps its own arguments."""
    if value is None:
        return
    if key not in node:
        node[key] = to_config(value)
    elif isinstance(value, Mapping) and _same_type(node[key], value):
        for name, part in value.items():
            _fill_in(node[key], name, part)


def _same_type(node: Any, value: Mapping[str, Any]) -> bool:
    """Says whether a part of a config is a dict that takes the same arguments."""
    if not isinstance(node, Mapping) or 'type' not in value:
        return isinstance(node, Mapping)
    return node.get('type', value['type']) == value['type']


def _take_out(node: Any, key: str, value: Any) -> None:
    """Removes parts that equal ``value``, inside dicts too."""
    if value is None or key not in node:
        return
    if same(node[key], value):
        node.pop(key)
    elif isinstance(value, Mapping) and isinstance(node[key], Mapping):
        for name, part in value.items():
            _take_out(node[key], name, part)
