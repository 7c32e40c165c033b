"""How a run deviates from benchmark and protocol by definition; choices that are errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine import dist
from mmengine.config import Config

from rein_seg.config.config_paths import Parts, deviations_in, same
from rein_seg.config.data_deviations import data_deviations, metric_deviations
from rein_seg.config.definitions import LAST, Benchmark, Protocol
from rein_seg.config.protocol import ConfigProtocols, Fact
from rein_seg.errors import UserError
from rein_seg.models.multi_scale import RATIOS

NOT_RECORDED = 'training not recorded'
# the rest of test_cfg changes speed, not scores
_SCORED = ('mode', 'crop_size', 'stride', 'resize')
_EVALUATION = ('name', 'test_cfg', 'test_pipelines', 'left_out', 'not_known')
_STOPS = ('EarlyStoppingHook', 'PatienceHook')


@dataclass(frozen=True)
class Deviations:
    """How a run deviates from its benchmark and its protocol, a text each.

    Attributes:
        training: Of its training.
        val: Of its validation.
        test: Of its test.
        selection: How it chooses its checkpoint: ``last``, or by which metric it is the best.
    """

    training: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    selection: str


NO_DEVIATIONS = Deviations((), (), (), LAST)


def find_deviations(known: ConfigProtocols) -> Deviations:
    """Returns the deviations of a completed config, as it will run on all processes."""
    protocol = known.stated()
    found = _Found(known.cfg, known.parts, known.benchmark, protocol, list(known.facts(protocol)))
    selected = _selects(known.cfg)
    return Deviations(
        training=tuple(dict.fromkeys(found.training(selected))),
        val=tuple(found.evaluation('val')),
        test=tuple(found.evaluation('test')),
        selection=LAST if selected is None else _selection_text(known, selected),
    )


def inherited_deviations(cfg: Config, trained: Mapping[str, Any] | None) -> list[str]:
    """Returns how the training of weights under test deviates from the protocol of the test.

    Args:
        cfg: Completed config of the test.
        trained: Record of the training in the weights file; None if it has none.
    """
    known, ours = ConfigProtocols(cfg), cfg.benchmark.get('protocol')
    if trained is None:  # a name without a schedule says nothing of training
        return [NOT_RECORDED] if known.definition(ours) else []
    # protocols that differ in the evaluation alone train alike
    theirs = trained['protocol']
    changed = list(trained['changed'])
    if ours != theirs and not _train_alike(known.definition(ours), known.definition(theirs)):
        changed = [f'trained under {"a changed " if changed else ""}{theirs}']
    if trained['benchmark'] != cfg.benchmark.get('name'):
        changed.insert(0, f'trained for {trained["benchmark"]}')
    elif known.benchmark is None:  # else the deviations from its definition say it
        before, now = (
            ', '.join(one.get('unseen') or ()) or 'none' for one in (trained, cfg.benchmark)
        )
        changed += deviations_in('unseen classes of the training', before, now)
    return changed


def check_selection(known: ConfigProtocols) -> None:
    """Checks that nothing is chosen on target domains unless the protocol does.

    Raises:
        UserError: If a hook would choose a checkpoint, or the end of training, on them.
    """
    protocol = known.stated()
    for place, hook in known.parts.hooks():
        for word in ('save_best', 'monitor'):
            keys = hook.get(word) or []
            for key in [keys] if isinstance(keys, str) else keys:
                if key not in protocol.selects and on_targets(known, key):
                    raise UserError(_refusal(known, protocol, f'{place}.{word}', key))


def _refusal(known: ConfigProtocols, protocol: Protocol, place: str, key: str) -> str:
    others = [name for name in known.available() if key in known.stated(name).selects]
    hint = f', or protocol={" or ".join(others)}, which does' if others else ''
    keys = ' or '.join(protocol.selects)
    rule = f'the best checkpoint by {keys}' if keys else 'no choice on targets'
    return (
        f'{place}={key!r} chooses on target domains, and protocol {protocol.name!r} does not: its '
        f'numbers are of {rule}. Choose by a score of the source domain, set {place}=None{hint}'
    )


def on_targets(known: ConfigProtocols, key: str) -> bool:
    """Says whether a score of validation is made on images of target domains.

    Args:
        known: A completed config and its protocols.
        key: Such as ``mean/mIoU``; a key that names no domain is of all of them.
    """
    own, shipped = known.parts.metrics['val'] or [{}], known.benchmark
    metrics = own if shipped is None else shipped.metric_nodes('val')
    task, _, of_task = key.partition('/')
    metric = next((one for one in metrics if one.get('task') == task), metrics[0])
    key = of_task if metric.get('task') == task else key
    source = metric.get('source')
    domains = {dataset.get('domain') for dataset in known.parts.datasets['val']}
    # with images of the source alone, a score without a domain is of the source, too
    return not domains <= {source} and key.split('/')[0] != source


@dataclass(frozen=True)
class _Found:
    """The deviations of a config, one kind after the other."""

    cfg: Config
    parts: Parts
    benchmark: Benchmark | None
    protocol: Protocol
    fixed: Sequence[Fact]

    def training(self, selected: str | None) -> Iterator[str]:
        yield from self._unseen()
        yield from data_deviations(self.benchmark, self.parts, 'train')
        yield from self._preprocessor()
        yield from self._facts(selected)
        yield from self._schedule()
        if selected is not None:  # by scores of these
            yield from data_deviations(self.benchmark, self.parts, 'val')
            yield from metric_deviations(self.benchmark, self.parts, 'val')
        yield from self.protocol.left_out.get('training', ())

    def evaluation(self, use: str) -> Iterator[str]:
        yield from self._unseen()
        yield from data_deviations(self.benchmark, self.parts, use)
        yield from metric_deviations(self.benchmark, self.parts, use)
        yield from self._preprocessor()
        for fact in self.fixed:
            if fact.name == 'test_cfg' and fact.value is not None:
                ours = {key: self.cfg.model.test_cfg.get(key) for key in _SCORED}
                wanted = {key: fact.value.get(key) for key in _SCORED}
                yield from deviations_in('test_cfg', ours, wanted)
            elif fact.use == use and self.protocol.test_pipelines:
                yield from deviations_in(fact.name, fact.node.get(fact.key), fact.value)
        if self._has_hook('AutocastHook'):
            yield 'autocast'
        yield from self.protocol.left_out.get('evaluation', ())

    def _unseen(self) -> Iterator[str]:
        if self.benchmark is not None:
            named = (self.cfg.benchmark.get('unseen') or (), self.benchmark.unseen)
            ours, theirs = (', '.join(map(str, one)) or 'none' for one in named)
            yield from deviations_in('unseen classes', ours, theirs)

    def _preprocessor(self) -> Iterator[str]:
        if self.cfg.model.get('data_preprocessor') is not None:  # else it is the encoder's
            yield 'data_preprocessor'

    def _has_hook(self, *types: str) -> bool:
        return any(hook.get('type') in types for _, hook in self.parts.hooks())

    def _facts(self, selected: str | None) -> Iterator[str]:
        """Yields deviations of facts whose value is compared as it stands."""
        protocol = self.protocol
        compared = ['train_pipeline', 'max_iters', 'param_scheduler']
        compared += ['val_interval'] if protocol.best else []  # else it chooses nothing
        for fact in self.fixed:
            if fact.use != 'training' or fact.value is None:
                continue
            if fact.name == 'crop_size':
                ours = self.cfg.model.get('crop_size')
                yield from deviations_in('crop_size', ours, fact.value)
            elif fact.name in compared:
                yield from deviations_in(fact.name, fact.node.get(fact.key), fact.value)
        if protocol.train_pipeline is not None:
            yield from self._multi_scale()
        if protocol.selection is not None and selected not in (
            protocol.best,
            *protocol.also_selects,
        ):
            yield f'selection {selected or LAST} instead of {protocol.best or LAST}'

    def _multi_scale(self) -> Iterator[str]:
        """Yields deviations of the sizes; a protocol without them trains at the crop's size."""
        ours = self.cfg.model.get('multi_scale')
        yield from deviations_in('multi_scale', ours, self.protocol.multi_scale)
        ratios = self.cfg.model.get('multi_scale_ratios')
        if ours is not None and ratios is not None:
            yield from deviations_in('multi_scale_ratios', list(ratios), list(RATIOS))

    def _schedule(self) -> Iterator[str]:
        cfg, protocol = self.cfg, self.protocol
        wrapper = cfg.get('optim_wrapper') or {}
        if protocol.optim_wrapper is not None:
            ours = {key: value for key, value in wrapper.items() if key != 'type'}
            yield from deviations_in('optim_wrapper', ours, protocol.optim_wrapper)
        if protocol.batch_size is not None:
            ours = cfg.train_dataloader.batch_size * (dist.get_world_size() if protocol.gpus else 1)
            yield from deviations_in('batch', ours, protocol.batch_size * (protocol.gpus or 1))
        if protocol.max_iters is None:
            return  # it is no schedule
        if wrapper.get('type', 'OptimWrapper') != 'OptimWrapper':
            yield 'autocast'
        if self._has_hook(*_STOPS):
            yield 'early stopping'
        yield from deviations_in('ema', cfg.get('ema'), protocol.ema)
        sampler = cfg.train_dataloader.get('sampler')
        yield from deviations_in('sampler', sampler, protocol.sampler)
        sources = self.parts.datasets['train']
        split = all(dataset.get('ann_file') or dataset.get('split') for dataset in sources)
        if protocol.source_split is not None and not split:
            yield f'all source images instead of the split {protocol.source_split}'


def _selection_text(known: ConfigProtocols, key: str) -> str:
    where = ' on targets' if on_targets(known, key) else ''
    interval = (known.cfg.get('train_cfg') or {}).get('val_interval')
    return f'best of {key}{where}, every {interval} iterations'


def _selects(cfg: Config) -> str | None:
    """Returns the score by which the checkpoint is chosen, None for the last."""
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    key = checkpoint.get('save_best')
    return ' and '.join(key) if isinstance(key, Sequence) and not isinstance(key, str) else key


def _train_alike(*definitions: Protocol | None) -> bool:
    if None in definitions:
        return False
    one, other = (
        {key: value for key, value in vars(definition).items() if key not in _EVALUATION}
        for definition in definitions
    )
    return same(one, other)
