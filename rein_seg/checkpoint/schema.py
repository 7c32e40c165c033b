"""The schema of our files: types of the entries beside the tensors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from rein_seg.checkpoint.tensors import shown
from rein_seg.errors import UserError

_DEEPEST = 50
Rule = tuple[Callable[[Any], bool], str]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_text, value))


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value))


def _is_number_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _is_counts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_count, value))


def _is_patience(value: Any) -> bool:
    return (
        _is_object(value)
        and _is_number_or_none(value.get('best_score'))
        and all(_is_count(value.get(key)) for key in ('wait_count', 'iter'))
    )


def _is_settings(value: Any) -> bool:
    try:
        return value is None or isinstance(json.loads(value), dict)
    except (TypeError, ValueError, RecursionError):
        return False


def _is_method(value: Any) -> bool:
    methods = value if isinstance(value, (list, tuple)) and value else [value]
    return all(_is_object(one) and _is_text(one.get('type')) for one in methods)


def _is_dataset_meta(value: Any) -> bool:
    if not _is_object(value) or not _is_texts(value.get('classes')):
        return False
    palette = value.get('palette')
    return (
        isinstance(palette, (list, tuple))
        and len(palette) == len(value['classes'])
        and all(_is_counts(one) and len(one) == 3 and max(one) < 256 for one in palette)
    )


def _is_encoder(value: Any) -> bool:
    if not _is_object(value) or not _is_text_or_none(value.get('weights')):
        return False
    config = value.get('config', {'type': ''})
    return _is_object(config) and _is_text(config.get('type'))


def _is_described_text(value: Any) -> bool:
    return value is None or (
        _is_object(value)
        and all(_is_text(value.get(key)) for key in ('type', 'source'))
        and type(value.get('open_vocabulary')) is bool
    )


def _is_schedules(value: Any) -> bool:
    """Of one optimizer, or by the names of several."""
    lists = value.values() if _is_object(value) else [value]
    return all(isinstance(one, (list, tuple)) and all(map(_is_object, one)) for one in lists)


COUNT: Rule = (_is_count, 'a whole number, 0 or more')
COUNT_OR_NONE: Rule = (lambda value: value is None or _is_count(value), COUNT[1])
TEXT: Rule = (_is_text, 'a text')
TEXT_OR_NONE: Rule = (_is_text_or_none, 'a text')
TEXTS: Rule = (_is_texts, 'a list of texts')
OBJECT: Rule = (_is_object, 'a dict by name')
OBJECT_OR_NONE: Rule = (lambda value: value is None or _is_object(value), 'a dict by name')
SCHEDULES: Rule = (_is_schedules, 'a list of dicts by name')
IDENTITY: dict[str, Rule] = {
    'method': (_is_method, "a dict with a type, such as {'type': 'LoRA'}, or a list of them"),
    'encoder': (_is_encoder, 'a dict with weights and config, and the config a type'),
    'num_classes': (lambda value: _is_count(value) and value > 0, 'a whole number, 1 or more'),
}
TRAINING: dict[str, Rule] = {
    'benchmark': TEXT_OR_NONE,
    'protocol': TEXT_OR_NONE,
    'changed': TEXTS,
    'selection': TEXT,
}
# of models with text alone
TEXT_BRANCH: Rule = (_is_described_text, 'a dict with a type, a source and open_vocabulary')
# of models of whole images alone
TASK: Rule = (lambda value: value in ('pixels', 'images'), 'pixels or images')
META: dict[str, Rule] = {  # of checkpoints, other programs' too
    'iter': COUNT_OR_NONE,
    'epoch': COUNT_OR_NONE,
    'seed': COUNT_OR_NONE,
    'identity': OBJECT,
    'identity_format': COUNT,
    'training': OBJECT_OR_NONE,
    'rein_seg_version': TEXT,
    'settings': (_is_settings, 'the JSON of a config'),
    'settings_sha256': TEXT_OR_NONE,
    'processes': COUNT,
    'run_id': TEXT_OR_NONE,
    'optimizer_states': COUNT_OR_NONE,
}
# state of hooks, which read and remove files by it
RUNTIME: dict[str, Rule] = {
    'best_ckpt': TEXT_OR_NONE,
    'last_ckpt': TEXT_OR_NONE,
    'best_score': (_is_number_or_none, 'a number'),
    'keep_ckpt_ids': (_is_counts, 'a list of iterations'),
    'validated': COUNT,
    'patience': (_is_patience, 'a dict of best_score, wait_count and iter'),
}
HUB: dict[str, Rule] = dict.fromkeys(('log_scalars', 'runtime_info', 'resumed_keys'), OBJECT)
CHECKPOINT: dict[str, Rule] = {  # of our own; other programs have other optimizers
    'message_hub': OBJECT,
    'optimizer': OBJECT,
    'param_schedulers': SCHEDULES,
    'raw_state_dict': OBJECT,
}
ADAPTER: dict[str, Rule] = {
    **dict.fromkeys(('version', 'encoder_name', 'benchmark', 'selection'), TEXT_OR_NONE),
    'config': TEXT_OR_NONE,
    'scores': OBJECT_OR_NONE,
    'training': OBJECT_OR_NONE,
    'dataset_meta': (
        lambda value: value is None or _is_dataset_meta(value),
        'a dict of classes and palette, a colour for each class',
    ),
    'text': TEXT_BRANCH,
    'task': TASK,
    **IDENTITY,
}


def check_rules(
    content: Mapping[str, Any], rules: Mapping[str, Rule], place: str, *, needs: bool = False
) -> None:
    """Checks the types of entries.

    Args:
        content: Entries by name; names without a rule are not looked at.
        rules: By name.
        place: Kind and path of the file, and the place of the entries in it, for messages.
        needs: Whether every entry with a rule must be there.

    Raises:
        UserError: If an entry is of another type, missing or nested too deep.

    Example:
        >>> from rein_seg.checkpoint.schema import META, check_rules
        >>> check_rules(dict(iter='two'), META, "checkpoint 'x.pth': meta.")
        Traceback (most recent call last):
        rein_seg.errors.UserError: checkpoint 'x.pth': meta.iter is 'two', expected a whole number,
        0 or more; get the file again, or write it anew
    """
    for key, (fits, expected) in rules.items():
        if key not in content:
            if needs:
                raise UserError(
                    f'{place}{key} is missing, expected {expected}; get the file again, or write '
                    'it anew'
                )
            continue
        value = content[key]
        shallow = _is_shallow(value)
        if not shallow or not fits(value):
            came = _short(value) if shallow else f'nested more than {_DEEPEST} deep'
            raise UserError(
                f'{place}{key} is {came}, expected {expected}; get the file again, or write it anew'
            )


def check_checkpoint(content: Mapping[str, Any], place: str) -> None:
    """Checks everything beside the tensors of a training checkpoint.

    Raises:
        UserError: As `check_rules`, or if the iteration lies behind the end of the training.
    """
    check_rules(content, {'meta': OBJECT}, f'{place}: ')
    meta = content.get('meta', {})
    check_rules(meta, META, f'{place}: meta.')
    if 'identity' in meta:
        check_rules(content, CHECKPOINT, f'{place}: ')
        if 'message_hub' in content:
            check_rules(content['message_hub'], HUB, f'{place}: message_hub.', needs=True)
            info = content['message_hub']['runtime_info']
            check_rules(info, _rules_of(info), f'{place}: message_hub.runtime_info.')
        check_rules(meta['identity'], IDENTITY, f'{place}: meta.identity.', needs=True)
        further = {'text': TEXT_BRANCH, 'task': TASK}
        check_rules(meta['identity'], further, f'{place}: meta.identity.')
    if meta.get('training') is not None:
        check_training(meta['training'], f'{place}: meta.training.')
        check_iteration(meta.get('iter'), meta['training'].get('max_iters'), place)


def _rules_of(info: Mapping[str, Any]) -> dict[str, Rule]:
    """Returns the rules of a hub's entries; with several metrics each has its best checkpoint."""
    each = {f'{key}_': RUNTIME[key] for key in ('best_ckpt', 'best_score')}
    more = {name: rule for begin, rule in each.items() for name in info if name.startswith(begin)}
    return {**more, **RUNTIME}


def check_training(record: Mapping[str, Any], place: str) -> None:
    """Checks the record of a training.

    Raises:
        UserError: As `check_rules`.
    """
    check_rules(record, TRAINING, place, needs=True)
    check_rules(record, {'max_iters': COUNT_OR_NONE}, place)


def check_iteration(iteration: int | None, last: int | None, place: str) -> None:
    """Checks that a checkpoint is not of an iteration after its training's end.

    Raises:
        UserError: If it is.
    """
    if iteration is not None and last is not None and iteration > last:
        raise UserError(
            f'{place}: meta.iter is {iteration}, expected at most meta.training.max_iters={last}; '
            'get the file again, or write it anew'
        )


def _is_shallow(value: Any) -> bool:
    """Tells whether nested dicts and lists can be walked by recursion."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            one
            for part in level
            if isinstance(part, (Mapping, list, tuple))
            for one in (part.values() if isinstance(part, Mapping) else part)
        ]
        if not level:
            return True
        if len(level) > 10**6:
            return False
    return False


def _short(value: Any) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        return f'a {type(value).__name__} of {len(value)}'
    return shown(repr(value), 60)
