"""Which protocol a config chooses, and how it fills the config's gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmengine.config import Config

from rein_seg.config.builtin import benchmarks, protocols
from rein_seg.config.config_paths import Parts, same
from rein_seg.config.definitions import OWN, Pipeline, Protocol, to_config
from rein_seg.config.unseen import MARKER, STEP, with_seen_labels
from rein_seg.errors import UserError, near_misses
from rein_seg.heads.cascade import heads_of

_SIZES = ('crop_size', 'test_cfg')
_PARENT = 'base'  # of a protocol in a config: the name of the protocol that it changes


@dataclass(frozen=True)
class Fact:
    """One value that a protocol fixes.

    Args:
        use: training, val, test, or scoring (val and test).
        name: For messages.
        node: Part of the config for the value.
        key: Its name there.
        value: In the protocol; None leaves it open.
        copies: Further parts that are filled from ``node`` later.
    """

    use: str
    name: str
    node: Any
    key: str
    value: Any
    copies: tuple[Any, ...] = ()


def seen_labels_step(cfg: Config) -> dict[str, Any] | None:
    """Returns the `KeepSeenLabels` of a config's training, None without unseen classes.

    A head that says ``unseen_label`` finds unseen pixels under that label; ``benchmark.compact``
    renumbers the seen classes.

    Example:
        >>> from mmengine.config import Config
        >>> from rein_seg.config.protocol import seen_labels_step
        >>> seen_labels_step(Config(dict(benchmark=dict(unseen=['bus']), model=dict())))
        {'type': 'KeepSeenLabels', 'unseen': ['bus']}
    """
    unseen = cfg.benchmark.get('unseen')
    if not unseen:
        return None
    step: dict[str, Any] = {'type': STEP, 'unseen': list(unseen)}
    if cfg.benchmark.get('compact'):
        step['compact'] = True
    head = (cfg.get('model') or {}).get('decode_head') or {}
    marked = next((one[MARKER] for one in heads_of(head) if one.get(MARKER) is not None), None)
    if marked is not None:
        step['unseen_as'] = marked
    return step


class ConfigProtocols:
    """The protocols of a config: which there are, which it chooses, which facts each fixes.

    Args:
        cfg: A config.
        parts: Its parts.

    Attributes:
        benchmark: The definition of its benchmark, None for a user's own.
        seen_labels: See `seen_labels_step`.
    """

    def __init__(self, cfg: Config, parts: Parts | None = None) -> None:
        self.cfg, self.parts = cfg, parts or Parts(cfg)
        self.benchmark = benchmarks().get(cfg.benchmark.get('name'))
        self.seen_labels = seen_labels_step(cfg)

    @property
    def name(self) -> str:
        """The name that the config chooses: its ``protocol``, else ``benchmark.protocol``."""
        return self.cfg.get('protocol') or self.cfg.benchmark.get('protocol') or ''

    def defined(self, name: str) -> Protocol:
        """Returns a protocol as this config has it: its own changes over the shipped definition.

        Raises:
            UserError: If the config's definition has an unknown key, or changes an unknown
                protocol.
        """
        own = dict((self.cfg.get('protocols') or {}).get(name) or {})
        parent = own.pop(_PARENT, name)
        if parent != name and parent not in protocols():
            raise UserError(
                f'protocols.{name}.{_PARENT}={parent!r}; {near_misses(parent, protocols())}'
            )
        return protocols().get(parent, Protocol()).changed(name, own)

    def definition(self, name: str | None) -> Protocol | None:
        """Returns a protocol by definition, None for a name that nothing defines."""
        if name in protocols():
            return protocols()[name]
        return self.defined(name) if name in (self.cfg.get('protocols') or {}) else None

    def stated(self, name: str | None = None) -> Protocol:
        """Returns a protocol by definition, with the sizes that it leaves to the benchmark.

        Args:
            name: None is the chosen protocol.
        """
        name = self.name if name is None else name
        shipped = protocols().get(name)
        if shipped is not None and self.benchmark is None:
            return shipped
        own = self.benchmark is None or name not in self.benchmark.protocol_names
        about = self.cfg.benchmark if own else vars(self.benchmark)
        protocol = shipped or self.defined(name)
        sizes = {key: getattr(protocol, key) or about.get(key) for key in _SIZES}
        return replace(protocol, **sizes)

    def available(self) -> list[str]:
        """Returns the names of the protocols with a pipeline for each test domain."""
        open_ones = [dataset for dataset in self.parts.tested if 'pipeline' not in dataset]
        return [name for name in self._candidates() if self._serves(name, open_ones)]

    def _candidates(self) -> list[str]:
        """Returns the names of the benchmark's protocols; a user's own benchmark may take any."""
        names = list(protocols()) if self.benchmark is None else self.benchmark.protocol_names
        if str(self.cfg.benchmark.get('name')).startswith(OWN):
            names = []  # a number on own data is none of a published protocol
        said = self.cfg.benchmark.get('protocol')
        own = [*(self.cfg.get('protocols') or {}), *([said] if said is not None else [])]
        return list(dict.fromkeys([*names, *(name for name in own if name not in protocols())]))

    def _serves(self, name: str, datasets: Sequence[Any]) -> bool:
        """A protocol of sizes alone serves nobody and excludes nobody."""
        protocol = self.defined(name)
        if not protocol.test_pipelines and name not in protocols():
            return True
        return all(self._test_pipeline(protocol, dataset) is not None for dataset in datasets)

    def chosen(self) -> Protocol:
        """Returns the protocol that the config chooses.

        Raises:
            UserError: If there is no such protocol for this benchmark, or its definition has an
                unknown key.
        """
        if not self.name and not self.cfg.get('protocols'):
            return Protocol()
        there = self.available()
        if self.name not in there:
            raise UserError(self._unavailable(there))
        return self.defined(self.name)

    def _unavailable(self, there: Sequence[str]) -> str:
        name, names = self.name, ', '.join(there) or 'none'
        benchmark = f'benchmark {self.cfg.benchmark.get("name")!r} has {names}'
        if 'protocol' not in self.cfg and name in protocols():
            return (
                f'protocol {name!r} is one of this package, and {benchmark}: give your own a name '
                'of its own'
            )
        return f'protocol={name!r}; {near_misses(name, there) + " " if there else ""}{benchmark}'

    def facts(self, protocol: Protocol) -> Iterator[Fact]:
        """Yields the facts of a protocol with their places in this config."""
        cfg = self.cfg
        for use, key in (('training', 'crop_size'), ('scoring', 'test_cfg')):
            copies = (cfg.get('model') or {},)
            yield Fact(use, key, cfg.benchmark, key, getattr(protocol, key), copies)
        yield from self._pipelines(protocol)
        if cfg.get('train_dataloader'):
            for key in ('batch_size', 'sampler'):
                yield Fact('training', key, cfg.train_dataloader, key, getattr(protocol, key))
        for key in ('optim_wrapper', 'ema'):
            yield Fact('training', key, cfg, key, getattr(protocol, key))
        if cfg.get('model'):
            key = 'multi_scale'
            yield Fact('training', key, cfg.model, key, protocol.multi_scale)
        if cfg.get('train_cfg'):
            loop, schedule = cfg.train_cfg, self._schedule(protocol)
            yield Fact('training', 'max_iters', loop, 'max_iters', protocol.max_iters, (cfg,))
            yield Fact('training', 'val_interval', loop, 'val_interval', protocol.val_interval)
            yield Fact('training', 'param_scheduler', cfg, 'param_scheduler', schedule)
        checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint')
        if isinstance(protocol.selection, Mapping) and checkpoint:
            for key, word in (('save_best', 'metric'), ('rule', 'rule')):
                yield Fact('training', 'selection', checkpoint, key, protocol.selection[word])

    def _pipelines(self, protocol: Protocol) -> Iterator[Fact]:
        for dataset in self.parts.datasets['train']:
            pipeline = with_seen_labels(protocol.train_pipeline, self.seen_labels)
            yield Fact('training', 'train_pipeline', dataset, 'pipeline', pipeline)
        for use in ('val', 'test'):
            for dataset in self.parts.datasets[use]:
                name = f'test_pipeline of {dataset.get("domain")}'
                pipeline = self._test_pipeline(protocol, dataset)
                yield Fact(use, name, dataset, 'pipeline', pipeline)

    def _test_pipeline(self, protocol: Protocol, dataset: Any) -> Pipeline | None:
        """Returns the transforms of a test domain; the names of a shipped one are by definition."""
        domain, like = dataset.get('domain'), self.cfg.benchmark.get('evaluated_as') or {}
        shipped = [] if self.benchmark is None else self.benchmark.every_domain()
        if domain in [one.name for one in shipped]:
            like = self.benchmark.evaluated_as()
        return protocol.pipeline_of(like.get(domain, domain))

    def _schedule(self, protocol: Protocol) -> list[Any] | None:
        """Returns the protocol's schedules, ended by this config's last iteration."""
        if protocol.param_scheduler is None:
            return None
        end = self.iterations() or protocol.max_iters
        parts = [dict(part) for part in protocol.param_scheduler]
        return [{**part, 'end': end} if part.get('end', 0) is None else part for part in parts]

    def iterations(self) -> int | None:
        """Returns the iterations that the config itself says."""
        loop = self.cfg.get('train_cfg') or {}
        return loop.get('max_iters') or self.cfg.get('max_iters')


def fill_protocol(cfg: Config, known: ConfigProtocols) -> None:
    """Fills the gaps of a config with the facts of its protocol, in place.

    The values of the protocol that filled it before are taken out first: the config that a run left
    can be evaluated under any protocol of its benchmark.

    Args:
        cfg: The config.
        known: Its protocols.

    Raises:
        UserError: If there is no such protocol, or if the config names another protocol than before
            and no test data set would change.
    """
    before = cfg.benchmark.get('protocol')
    switched = before is not None and before != cfg.get('protocol', before)
    if switched:
        for fact in list(known.facts(known.defined(before))):
            for node in (fact.node, *fact.copies):
                _take_out(node, fact.key, fact.value)
    protocol, tested = known.chosen(), known.parts.tested
    if switched and tested and all('pipeline' in dataset for dataset in tested):
        raise UserError(
            f'protocol={protocol.name!r} reaches no data set: each has a pipeline of its own, as '
            f'under {before!r}; set those, or start from the config that this one was made of'
        )
    fixed = list(known.facts(protocol))
    iterations = known.iterations() or protocol.max_iters
    if iterations is not None and cfg.get('train_cfg'):
        cfg['max_iters'] = cfg.train_cfg['max_iters'] = iterations
    for fact in fixed:
        _fill_in(fact.node, fact.key, fact.value)
    if protocol.name:
        cfg.benchmark['protocol'] = protocol.name
        for metric in [*known.parts.metrics['val'], *known.parts.metrics['test']]:
            metric['protocol'] = protocol.name


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
