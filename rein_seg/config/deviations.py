"""How a run deviates from benchmark and protocol by definition; choices that are errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine import dist
from mmengine.config import Config

from rein_seg.config.builtin import protocols
from rein_seg.config.config_paths import datasets_of, deviations_in, hooks_of, same
from rein_seg.config.data_deviations import data_deviations, metric_deviations
from rein_seg.config.definitions import LAST, Protocol
from rein_seg.config.protocol import (
    Fact,
    available,
    defined,
    facts,
    protocol_name,
    shipped_benchmark,
    stated,
)
from rein_seg.errors import UserError
from rein_seg.evaluation import find_domain_metric

NOT_RECORDED = 'training not recorded'
_SCORED = ('mode', 'crop_size', 'stride')  # the rest of test_cfg changes speed, not scores
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


def find_deviations(cfg: Config) -> Deviations:
    """Returns the deviations of a completed config, as it will run on all processes."""
    protocol = stated(cfg, protocol_name(cfg))
    fixed = list(facts(cfg, protocol))
    return Deviations(
        training=tuple(dict.fromkeys(_training(cfg, protocol, fixed))),
        val=tuple(_evaluation(cfg, protocol, fixed, 'val')),
        test=tuple(_evaluation(cfg, protocol, fixed, 'test')),
        selection=_selection_text(cfg),
    )


def inherited_deviations(cfg: Config, trained: Mapping[str, Any] | None) -> list[str]:
    """Returns how the training of weights under test deviates from the protocol of the test.

    Args:
        cfg: Completed config of the test.
        trained: What the weights file says of its training; None where it says nothing.
    """
    ours = cfg.benchmark.get('protocol')
    if trained is None:  # a name without a schedule says nothing of training
        return [NOT_RECORDED] if _definition(cfg, ours) else []
    theirs = trained['protocol']
    changed = list(trained['changed'])
    if ours != theirs and not _train_alike(cfg, ours, theirs):
        changed = [f'trained under {"a changed " if changed else ""}{theirs}']
    if trained['benchmark'] != cfg.benchmark.get('name'):
        changed.insert(0, f'trained for {trained["benchmark"]}')
    return changed


def check_selection(cfg: Config) -> None:
    """Checks that nothing is chosen on target domains unless the protocol does.

    Raises:
        UserError: If a hook would choose a checkpoint, or the end of training, on them.
    """
    protocol = stated(cfg, protocol_name(cfg))
    for place, hook in hooks_of(cfg):
        for word in ('save_best', 'monitor'):
            keys = hook.get(word) or []
            for key in [keys] if isinstance(keys, str) else keys:
                if key not in protocol.selects and on_targets(cfg, key):
                    raise UserError(_refusal(cfg, protocol, f'{place}.{word}', key))


def _refusal(cfg: Config, protocol: Protocol, place: str, key: str) -> str:
    others = [name for name in available(cfg) if key in stated(cfg, name).selects]
    hint = f', or protocol={" or ".join(others)}, which does' if others else ''
    keys = ' or '.join(protocol.selects)
    rule = f'the best checkpoint by {keys}' if keys else 'no choice on targets'
    return (
        f'{place}={key!r} chooses on target domains, and protocol {protocol.name!r} does not: its '
        f'numbers are of {rule}. Choose by a score of the source domain, set {place}=None{hint}'
    )


def on_targets(cfg: Config, key: str) -> bool:
    """Says whether a score of validation is made on images of target domains.

    Args:
        cfg: Completed config.
        key: Such as ``mean/mIoU``; a key that names no domain is of all of them.
    """
    benchmark = shipped_benchmark(cfg)
    if benchmark is None:
        metric = find_domain_metric(cfg.get('val_evaluator') or {}) or {}
    else:
        metric = benchmark.metric_node('val')
    source = metric.get('source')
    domains = {dataset.get('domain') for dataset in datasets_of(cfg, ('val_dataloader',))}
    return not domains <= {source} and key.split('/')[0] != source


def _training(cfg: Config, protocol: Protocol, fixed: Sequence[Fact]) -> Iterator[str]:
    yield from data_deviations(cfg, 'train')
    yield from _preprocessor(cfg)
    yield from _facts(cfg, protocol, fixed)
    yield from _schedule(cfg, protocol)
    if _selects(cfg) is not None:  # by scores of these
        yield from data_deviations(cfg, 'val')
        yield from metric_deviations(cfg, 'val')
    yield from protocol.left_out.get('training', ())


def _evaluation(cfg: Config, protocol: Protocol, fixed: Sequence[Fact], use: str) -> Iterator[str]:
    yield from data_deviations(cfg, use)
    yield from metric_deviations(cfg, use)
    yield from _preprocessor(cfg)
    for fact in fixed:
        if fact.name == 'test_cfg' and fact.value is not None:
            ours = {key: cfg.model.test_cfg.get(key) for key in _SCORED}
            wanted = {key: fact.value.get(key) for key in _SCORED}
            yield from deviations_in('test_cfg', ours, wanted)
        elif fact.use == use and protocol.test_pipelines:
            yield from deviations_in(fact.name, fact.node.get(fact.key), fact.value)
    if any(hook.get('type') == 'AutocastHook' for _, hook in hooks_of(cfg)):
        yield 'autocast'
    yield from protocol.left_out.get('evaluation', ())


def _preprocessor(cfg: Config) -> Iterator[str]:
    if cfg.model.get('data_preprocessor') is not None:  # else it is the encoder's
        yield 'data_preprocessor'


def _facts(cfg: Config, protocol: Protocol, fixed: Sequence[Fact]) -> Iterator[str]:
    """Yields deviations of facts whose value is compared as it stands."""
    compared = ['train_pipeline', 'max_iters', 'param_scheduler']
    compared += ['val_interval'] if protocol.best else []  # else it chooses nothing
    for fact in fixed:
        if fact.use != 'training' or fact.value is None:
            continue
        if fact.name == 'crop_size':
            yield from deviations_in('crop_size', cfg.model.get('crop_size'), fact.value)
        elif fact.name in compared:
            yield from deviations_in(fact.name, fact.node.get(fact.key), fact.value)
    if protocol.selection is not None:
        ours = _selects(cfg)
        if ours != protocol.best and ours not in protocol.also_selects:
            yield f'selection {ours or LAST} instead of {protocol.best or LAST}'


def _schedule(cfg: Config, protocol: Protocol) -> Iterator[str]:
    wrapper = cfg.get('optim_wrapper') or {}
    if protocol.optim_wrapper is not None:
        ours = {key: value for key, value in wrapper.items() if key != 'type'}
        yield from deviations_in('optim_wrapper', ours, protocol.optim_wrapper)
    if protocol.batch_size is not None:
        batch = cfg.train_dataloader.batch_size * (dist.get_world_size() if protocol.gpus else 1)
        yield from deviations_in('batch', batch, protocol.batch_size * (protocol.gpus or 1))
    if protocol.max_iters is None:
        return  # it is no schedule
    if wrapper.get('type', 'OptimWrapper') != 'OptimWrapper':
        yield 'autocast'
    if any(hook.get('type') in _STOPS for _, hook in hooks_of(cfg)):
        yield 'early stopping'
    yield from deviations_in('ema', cfg.get('ema'), protocol.ema)
    yield from deviations_in('sampler', cfg.train_dataloader.get('sampler'), protocol.sampler)
    if protocol.source_split is not None:
        sources = list(datasets_of(cfg, ('train_dataloader',)))
        if not all(dataset.get('ann_file') or dataset.get('split') for dataset in sources):
            yield f'all source images instead of the split {protocol.source_split}'


def _selection_text(cfg: Config) -> str:
    key = _selects(cfg)
    if key is None:
        return LAST
    where = ' on targets' if on_targets(cfg, key) else ''
    interval = (cfg.get('train_cfg') or {}).get('val_interval')
    return f'best of {key}{where}, every {interval} iterations'


def _selects(cfg: Config) -> str | None:
    """Returns the score by which the checkpoint is chosen, None for the last."""
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    key = checkpoint.get('save_best')
    return ' and '.join(key) if isinstance(key, Sequence) and not isinstance(key, str) else key


def _definition(cfg: Config, name: str | None) -> Protocol | None:
    """Returns a protocol by definition, None for a name that nothing defines."""
    if name in protocols():
        return protocols()[name]
    return defined(cfg, name) if name in (cfg.get('protocols') or {}) else None


def _train_alike(cfg: Config, *names: str | None) -> bool:
    definitions = [_definition(cfg, name) for name in names]
    if None in definitions:
        return False
    one, other = (
        {key: value for key, value in vars(definition).items() if key not in _EVALUATION}
        for definition in definitions
    )
    return same(one, other)
