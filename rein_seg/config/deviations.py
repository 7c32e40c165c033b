"""What a run changes in the protocol that it names, and what is refused to bear its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine import dist
from mmengine.config import Config

from rein_seg.config.builtin import (
    data_changes,
    metric_changes,
    published,
    published_benchmark,
)
from rein_seg.config.config_paths import datasets_of, hooks_of, same
from rein_seg.config.differences import differences
from rein_seg.config.protocol import DEFAULT_SAMPLER, LAST, available, facts, stated_protocol
from rein_seg.errors import UserError
from rein_seg.evaluation import find_domain_metric

NOT_RECORDED = 'training not recorded'
_SCORED = ('mode', 'crop_size', 'stride')  # the rest of test_cfg changes speed, not scores
_EVALUATION = ('test_cfg', 'test_pipelines', 'left_out', 'not_known')
_STOPS = ('EarlyStoppingHook', 'PatienceHook')


def training_changes(cfg: Config) -> list[str]:
    """Returns what a training run does otherwise than its protocol says.

    Args:
        cfg: Completed config, as it will run on all processes.
    """
    _, protocol = stated_protocol(cfg)
    found = [*data_changes(cfg, 'train'), *_training_differences(cfg, protocol)]
    if _selects(cfg) is not None:  # by scores of these
        found += [*data_changes(cfg, 'val'), *metric_changes(cfg, 'val')]
    return list(dict.fromkeys(found + list((protocol.get('left_out') or {}).get('training', []))))


def evaluation_changes(cfg: Config, use: str) -> list[str]:
    """Returns what an evaluation does otherwise than its protocol says.

    Args:
        cfg: Completed config.
        use: ``val`` or ``test``, whose loader it is.
    """
    _, protocol = stated_protocol(cfg)
    found = [*data_changes(cfg, use), *metric_changes(cfg, use), *_preprocessor(cfg)]
    for fact in facts(cfg, protocol):
        if fact.name == 'test_cfg' and fact.value is not None:
            ours = {key: cfg.model.test_cfg.get(key) for key in _SCORED}
            wanted = {key: fact.value.get(key) for key in _SCORED}
            found += differences('test_cfg', ours, wanted)
        elif fact.use == use and protocol.get('test_pipelines'):
            found += differences(fact.name, fact.node.get(fact.key), fact.value)
    if any(hook.get('type') == 'AutocastHook' for _, hook in hooks_of(cfg)):
        found.append('autocast')
    return found + list((protocol.get('left_out') or {}).get('evaluation', []))


def inherited_changes(cfg: Config, trained: Mapping[str, Any] | None) -> list[str]:
    """Returns what weights under test were trained otherwise than the protocol says.

    Args:
        cfg: Completed config.
        trained: What their file says: a `training_record`, None where it says nothing.
    """
    protocols = cfg.get('protocols')
    if trained is None:  # a name without a schedule says nothing of training
        return [NOT_RECORDED] if protocols else []
    ours, theirs = cfg.benchmark.get('protocol'), trained['protocol']
    alike = ours == theirs or _train_alike(cfg, str(ours), str(theirs))
    changed = list(trained['changed'])
    if not alike:
        changed = [f'trained under {"a changed " if changed else ""}{theirs}']
    if trained['benchmark'] != cfg.benchmark.get('name'):
        changed.insert(0, f'trained for {trained["benchmark"]}')
    return changed


def training_record(cfg: Config) -> dict[str, Any]:
    """Returns what the files of a run say of its training."""
    return {
        'benchmark': cfg.benchmark.get('name'),
        'protocol': cfg.benchmark.get('protocol'),
        'changed': training_changes(cfg),
        'selection': selection_text(cfg),
        'max_iters': (cfg.get('train_cfg') or {}).get('max_iters'),
    }


def selection_text(cfg: Config) -> str:
    """Returns how the run chooses its checkpoint: ``last``, or by what it is the best."""
    key = _selects(cfg)
    if key is None:
        return LAST
    where = ' on targets' if on_targets(cfg, key) else ''
    return f'best of {key}{where}, every {cfg.train_cfg.get("val_interval")} iterations'


def on_targets(cfg: Config, key: str) -> bool:
    """Says whether a score of validation is made on images of target domains.

    Args:
        cfg: Completed config.
        key: Such as ``mean/mIoU``; what names no domain is of all of them.
    """
    metric = find_domain_metric(cfg.get('val_evaluator') or {}) or {}
    shipped = published_benchmark(cfg)
    source = (shipped['metrics']['val'] if shipped else metric).get('source')
    domains = {dataset.get('domain') for dataset in datasets_of(cfg, ('val_dataloader',))}
    return not domains <= {source} and key.split('/')[0] != source


def check_selection(cfg: Config) -> None:
    """Checks that nothing is chosen on target domains unless the protocol does.

    Raises:
        UserError: If a hook would choose a checkpoint, or the end of training, on them.
    """
    name, protocol = stated_protocol(cfg)
    allowed = _allowed(protocol)
    for place, hook in hooks_of(cfg):
        for word in ('save_best', 'monitor'):
            keys = hook.get(word) or []
            for key in [keys] if isinstance(keys, str) else keys:
                if key in allowed or not on_targets(cfg, key):
                    continue
                others = [n for n in available(cfg) if key in _allowed(_definition(cfg, n))]
                hint = f', or protocol={" or ".join(others)}, which does' if others else ''
                raise UserError(
                    f'{place}.{word}={key!r} chooses on target domains, and protocol {name!r} does '
                    f'not: its numbers are of {_rule_text(protocol)}. Choose by a score of the '
                    f'source domain, set {place}.{word}=None{hint}'
                )


def _preprocessor(cfg: Config) -> Iterator[str]:
    if cfg.model.get('data_preprocessor') is not None:  # else it is the encoder's
        yield 'data_preprocessor'


def _training_differences(cfg: Config, protocol: Mapping[str, Any]) -> Iterator[str]:
    yield from _preprocessor(cfg)
    yield from _simple_differences(cfg, protocol)
    wrapper = cfg.get('optim_wrapper') or {}
    if protocol.get('optim_wrapper') is not None:
        ours = {key: value for key, value in wrapper.items() if key != 'type'}
        yield from differences('optim_wrapper', ours, protocol['optim_wrapper'])
    if protocol.get('batch_size') is not None:
        gpus = protocol.get('gpus')
        ours = cfg.train_dataloader.batch_size * (dist.get_world_size() if gpus else 1)
        yield from differences('batch', ours, protocol['batch_size'] * (gpus or 1))
    if protocol.get('max_iters') is None:
        return  # it is no schedule
    if wrapper.get('type', 'OptimWrapper') != 'OptimWrapper':
        yield 'autocast'
    if any(hook.get('type') in _STOPS for _, hook in hooks_of(cfg)):
        yield 'early stopping'
    yield from differences('ema', cfg.get('ema'), protocol.get('ema'))
    yield from differences(
        'sampler', cfg.train_dataloader.get('sampler'), protocol.get('sampler', DEFAULT_SAMPLER)
    )
    if protocol.get('source_split') is not None:
        sources = list(datasets_of(cfg, ('train_dataloader',)))
        if not all(dataset.get('ann_file') or dataset.get('split') for dataset in sources):
            yield f'all source images instead of the split {protocol["source_split"]}'


def _simple_differences(cfg: Config, protocol: Mapping[str, Any]) -> Iterator[str]:
    """Yields those of facts whose value is compared as it stands."""
    chosen = isinstance(protocol.get('selection'), Mapping)
    compared = ['train_pipeline', 'max_iters', 'param_scheduler']
    compared += ['val_interval'] if chosen else []  # else it chooses nothing
    for fact in facts(cfg, protocol):
        if fact.use != 'training' or fact.value is None:
            continue
        if fact.name == 'crop_size':
            yield from differences('crop_size', cfg.model.get('crop_size'), fact.value)
        elif fact.name in compared:
            yield from differences(fact.name, fact.node.get(fact.key), fact.value)
    if 'selection' in protocol:
        ours, also = _selects(cfg), protocol.get('also_selects') or []
        wanted = protocol['selection']['metric'] if chosen else None
        if ours != wanted and ours not in also:
            yield f'selection {ours or LAST} instead of {wanted or LAST}'


def _selects(cfg: Config) -> str | None:
    """Returns the score by which the checkpoint is chosen, None for the last."""
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    key = checkpoint.get('save_best')
    return ' and '.join(key) if isinstance(key, Sequence) and not isinstance(key, str) else key


def _allowed(protocol: Mapping[str, Any]) -> list[str]:
    selection = protocol.get('selection')
    chosen = [selection['metric']] if isinstance(selection, Mapping) else []
    return [*chosen, *(protocol.get('also_selects') or [])]


def _definition(cfg: Config, name: str) -> Mapping[str, Any]:
    """Returns a protocol, as shipped if its name is that of one."""
    own = (cfg.get('protocols') or {}).get(name, {})
    return published()['protocols'].get(name, own)


def _rule_text(protocol: Mapping[str, Any]) -> str:
    keys = _allowed(protocol)
    return f'the best checkpoint by {" or ".join(keys)}' if keys else 'no choice on targets'


def _train_alike(cfg: Config, one: str, other: str) -> bool:
    parts = [
        {key: value for key, value in _definition(cfg, name).items() if key not in _EVALUATION}
        for name in (one, other)
    ]
    return bool(parts[0]) and same(*parts)
