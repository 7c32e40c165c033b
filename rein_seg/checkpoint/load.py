"""Loads adapters and checkpoints into the model they were made for."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from torch import nn

from rein_seg.checkpoint.adapter import read_adapter
from rein_seg.checkpoint.old_files import fill_new_arguments, translate_identity
from rein_seg.checkpoint.read import read_checkpoint, state_dict_of
from rein_seg.checkpoint.strict import check_fit, load_strict
from rein_seg.checkpoint.tensors import shown
from rein_seg.errors import UserError
from rein_seg.registry import WHOLE_FILES

IDENTITY_FORMAT = 2  # of checkpoints; files without the key are of format 1
_FILES = {
    'encoder.weights': "the file of the encoder's weights and ",
    'text.source': 'the table, or the tower, and ',
}
_METHOD = 'backbone.'  # begins the names of the tensors of methods
# a table in a file says less of its origin than a table that is computed
_SENTENCES = 'text.templates'
_OPTIONAL = ('text.rows', _SENTENCES)
PIXELS = 'pixels'  # task of files that name none
TASKS = {PIXELS: 'segments images', 'images': 'gives one result for a whole image'}
# an adapter and its model must have these in common; values: their names in messages
IDENTITY = {
    'method': 'PEFT method',
    'num_classes': 'number of classes',
    'encoder': 'encoder',
    'text': 'text branch',
    'regions': 'second stage',
    'tasks': 'list of tasks',
}


def check_identity(made: Mapping[str, Any], given: Mapping[str, Any], *, source: str) -> None:
    """Checks that weights were made for the model they go into.

    Args:
        made: ``method``, ``encoder``, ``num_classes`` and, of a model with text, ``text`` in the
            file. A model of an open vocabulary takes any number of classes, and, with a line in
            the log, other sentences around their names.
        given: The same of the model.
        source: The file, for messages.

    Raises:
        UserError: If they differ; the message names the first difference.

    Example:
        >>> from rein_seg.checkpoint.load import check_identity
        >>> made = dict(method={'type': 'LoRA', 'rank': 4}, encoder={'name': 'toy'}, num_classes=2)
        >>> check_identity(made, made, source='adapter')
        >>> check_identity(made, {**made, 'num_classes': 19}, source='adapter')
        Traceback (most recent call last):
        rein_seg.errors.UserError: adapter was made for another number of classes: it says
        num_classes=2, the config gives 19; use the config it was trained with
    """
    check_task(made.get('task', PIXELS), given.get('task', PIXELS), source=source)
    made, given = fill_new_arguments(made), fill_new_arguments(given)
    are_open = _is_open(made) and _is_open(given)
    for key, name in IDENTITY.items():
        if key == 'num_classes' and are_open:
            continue
        theirs, ours = _flat(made.get(key), key), _flat(given.get(key), key)
        if are_open and _SENTENCES in theirs and _SENTENCES in ours:
            _note_sentences(theirs.pop(_SENTENCES), ours.pop(_SENTENCES), source)
        for part in sorted(theirs | ours, key=lambda part: (not part.endswith('.type'), part)):
            a, b = theirs.get(part), ours.get(part)
            if part in _OPTIONAL and None in (a, b):
                continue
            if a != b:
                said, wanted = f'{shown(part)}={shown(repr(a))}', shown(repr(b))
                file = _FILES.get(part, '')
                raise UserError(
                    f'{source} was made for another {name}: it says {said}, the config gives '
                    f'{wanted}; use {file}the config it was trained with'
                )


def check_task(made: str, given: str, *, source: str) -> None:
    """Checks that weights were made for the task of the model they go into.

    Args:
        made: Task in the file, ``pixels`` or ``images``.
        given: Task of the model.
        source: The file, for messages.

    Raises:
        UserError: If they differ.

    Example:
        >>> from rein_seg.checkpoint.load import check_task
        >>> check_task('images', 'images', source='adapter')
    """
    if made != given:
        raise UserError(
            f'{source} is of a model that {TASKS.get(made, made)}, the config of a model that '
            f'{TASKS.get(given, given)}: expected both of one task; use the config it was trained '
            'with'
        )


def _note_sentences(made: Any, given: Any, source: str) -> None:
    """Tells that the embeddings of classes are not those of the training."""
    if made != given:
        print_log(
            f'{source} was trained with classes in {_sentences(made)}; the config has '
            f'{_sentences(given)}, which are read now',
            logger='current',
            level=logging.WARNING,
        )


def _sentences(templates: Any) -> str:
    several = isinstance(templates, list) and len(templates) > 1
    return f'{len(templates)} sentences' if several else shown(templates)


def _is_open(identity: Mapping[str, Any]) -> bool:
    """Says whether weights serve any classes."""
    return bool((identity.get('text') or {}).get('open_vocabulary'))


def load_checkpoint(checkpoint: Mapping[str, Any], model: nn.Module, *, source: str) -> str:
    """Loads the content of a checkpoint into a model; returns the coverage report.

    Checkpoints of other programs are taken, too, where a loader is registered for their layout: see
    `register_whole_file`.

    Args:
        checkpoint: From `read_checkpoint`.
        model: The segmentor, a `PEFTSegmentor`.
        source: Path of the file, for messages.

    Raises:
        UserError: If it was made for another model. Files of other programs carry no identity;
            only their tensors are compared.
    """
    meta = checkpoint.get('meta')
    if isinstance(meta, Mapping) and 'identity' in meta:
        made = meta['identity']
        if 'identity_format' not in meta:
            made = translate_identity(made)
        check_identity(made, model.identity, source=f'checkpoint {source!r}')
    state = model.fit_state(state_dict_of(checkpoint, source))
    for recognises, load in WHOLE_FILES:
        if recognises(state):
            return load(state, model, source=source)
    return load_strict(model, state, what='checkpoint', source=source)


def load_but_method(path: str | os.PathLike, model: nn.Module) -> str:
    """Loads text, neck and heads of an adapter or a checkpoint; the method stays as it is.

    Args:
        path: The file; its method may be another.
        model: The segmentor.

    Returns:
        The coverage report.

    Raises:
        UserError: If it was made for another encoder, text, number of classes or tasks, or does not
            hold exactly the tensors of text, neck and heads.
    """
    place, own = str(path), model.state_dict()
    if place.endswith('.safetensors'):
        adapter = read_adapter(path)
        made, state = adapter.metadata, dict(adapter.tensors)
    else:
        content = read_checkpoint(place)
        made = (content.get('meta') or {}).get('identity') or {}
        state = model.fit_state(state_dict_of(content, place))
    ours = model.identity
    check_identity({**made, 'method': ours['method']}, ours, source=place)
    kept = {name: x for name, x in own.items() if name.startswith(_METHOD)}
    rest = {name: x for name, x in state.items() if not name.startswith(_METHOD)}
    check_fit({n: x for n, x in own.items() if n not in kept}, rest, what='file', source=place)
    load_strict(model, {**kept, **rest}, what='file', source=place)
    return (
        f'text, neck and heads from {place}: {len(rest)} tensors, 0 unexpected; its method, '
        f'{_named(made)}, is left out: {_named(model.identity)} starts anew'
    )


def _named(identity: Mapping[str, Any]) -> str:
    method = identity.get('method') or {}
    methods = [method] if isinstance(method, Mapping) else method
    return '+'.join(str(one.get('type')) for one in methods)


def _flat(value: Any, name: str) -> dict[str, Any]:
    """Returns dotted names -> JSON values."""
    value = json.loads(json.dumps(value, default=str))
    if isinstance(value, list) and value and isinstance(value[0], dict):  # several methods
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {name: value}
    return {k: v for key, part in value.items() for k, v in _flat(part, f'{name}.{key}').items()}


def load_adapter(path: str | os.PathLike, model: nn.Module, identity: Mapping[str, Any]) -> str:
    """Loads an adapter into a model it was made for.

    Args:
        path: The adapter file.
        model: The segmentor.
        identity: ``method``, ``encoder`` and ``num_classes`` of the model.

    Returns:
        The coverage report.

    Raises:
        UserError: If the adapter was made for another encoder, method or class count.

    Example:
        >>> from torch import nn
        >>> from rein_seg.checkpoint import load_adapter, save_adapter
        >>> identity = dict(method={'type': 'LoRA'}, encoder={'name': 'toy'}, num_classes=2)
        >>> _ = save_adapter('adapter.safetensors', nn.Linear(3, 2), identity)
        >>> load_adapter('adapter.safetensors', nn.Linear(3, 2), identity)
        'adapter from adapter.safetensors: 2/2 tensors, 0 unexpected'
    """
    adapter = read_adapter(path)
    check_identity(adapter.metadata, identity, source=f'adapter {str(path)!r}')
    return load_strict(model, adapter.tensors, what='adapter', source=str(path))
