"""Weights files: checked before a run, their record of the training, loaded into a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rein_seg.checkpoint import (
    load_adapter,
    load_checkpoint,
    read_adapter,
    read_checkpoint,
    state_dict_of,
)
from rein_seg.checkpoint.load import PIXELS, check_task
from rein_seg.config.definitions import LAST
from rein_seg.config.deviations import NOT_RECORDED
from rein_seg.errors import UserError
from rein_seg.models.base import task_of


def check_weights(path: str, model: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Checks that a weights file can be read, before models and data are built.

    Args:
        path: Adapter file or checkpoint.
        model: Config of the model that it goes into, whose task it must have; None checks no task.

    Returns:
        The file's record of its training: protocol, deviations from it, choice of the checkpoint;
        None if the file has no record.

    Raises:
        UserError: If it cannot be read, or is of a model of another task.
    """
    if model is not None:
        check_task(task_of_weights(path), task_of(model.get('type')), source=repr(str(path)))
    record, iteration = read_record(path)
    return record and _at_iteration(record, iteration)


def check_trained_classes(
    trained: Mapping[str, Any] | None, classes: Sequence[str], path: str
) -> None:
    """Checks that a test has the classes of the training.

    Args:
        trained: Record of the training; older files name no classes.
        classes: Of the test.
        path: The weights file.

    Raises:
        UserError: If it has other names, or the same in another order.

    Example:
        >>> from rein_seg.run.weights import check_trained_classes
        >>> check_trained_classes({'classes': ['road', 'sky']}, ('road', 'sky'), 'a.safetensors')
    """
    before = tuple((trained or {}).get('classes') or classes)
    if before == tuple(classes):
        return
    how = 'in another order' if sorted(before) == sorted(classes) else 'with other names'
    raise UserError(
        f'{path} was trained on the classes {before}, the data set of the test has them {how}, '
        f'{tuple(classes)}: expected the same names in one order, since an index means a class; '
        'give the data set metainfo and label_map of the training, or the data file its classes'
    )


def task_of_weights(path: str) -> str:
    """Returns the task of the model that a weights file is of: ``pixels`` or ``images``.

    Raises:
        UserError: If it cannot be read.
    """
    if str(path).endswith('.safetensors'):
        return read_adapter(path).metadata.get('task', PIXELS)
    meta = read_checkpoint(path).get('meta')
    identity = meta.get('identity') if isinstance(meta, Mapping) else None
    return (identity or {}).get('task', PIXELS)


def read_record(path: str) -> tuple[dict[str, Any] | None, int | None]:
    """Returns the record of the training in a weights file, and the iteration of a checkpoint.

    Raises:
        UserError: If it cannot be read.
    """
    if str(path).endswith('.safetensors'):
        return read_adapter(path).metadata.get('training'), None
    content = read_checkpoint(path)
    state_dict_of(content, str(path))
    meta = content.get('meta')
    if not isinstance(meta, Mapping):
        return None, None
    record = meta.get('training')
    return record and dict(record), meta.get('iter')


def resumed(record: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Returns the record of a resumed run, with its earlier deviations.

    Args:
        record: Of the run as it is configured now.
        path: Checkpoint to resume from.

    Raises:
        UserError: If the checkpoint is of another benchmark or protocol.
    """
    before, iteration = read_record(path)
    if before is None:
        return {
            **record,
            'changed': [*record['changed'], f'until iteration {iteration}: {NOT_RECORDED}'],
        }
    # a name for both halves of such a run would be wrong for one of them
    for key in ('benchmark', 'protocol'):
        if before[key] != record[key]:
            raise UserError(
                f'{path} is of {key} {before[key]!r}, this run of {record[key]!r}: resume it as it '
                'was begun, or start another run with another --work-dir'
            )
    until = f'until iteration {iteration}: '
    earlier = [text for text in before['changed'] if text not in record['changed']]
    if before['selection'] != record['selection']:
        earlier.append(f'selection {before["selection"]}')
    earlier = [text if text.startswith('until iteration') else until + text for text in earlier]
    return {**record, 'changed': [*record['changed'], *earlier]}


def started_from(path: str) -> str:
    """Returns the deviation of a run that starts from other weights (``load_from``).

    Raises:
        UserError: If the weights cannot be read.
    """
    record = check_weights(path)
    if record is None:
        return f'starts from {Path(path).name}, {NOT_RECORDED}'
    changed = f', changed: {", ".join(record["changed"])}' if record['changed'] else ''
    return (
        f'starts from {Path(path).name} ({record["benchmark"]}, {record["protocol"]}{changed}, '
        f'selection {record["selection"]})'
    )


def _at_iteration(record: Mapping[str, Any], iteration: int | None) -> dict[str, Any]:
    """Returns the record of a checkpoint; taking any but the last is a choice of its user."""
    last = record.get('max_iters')
    if record['selection'] != LAST or iteration in (None, last):
        return dict(record)
    text = f'iteration {iteration} of {last}'
    return {**record, 'selection': text, 'changed': [*record['changed'], f'checkpoint of {text}']}


def load_weights(model: Any, path: str) -> str:
    """Loads an adapter file or a checkpoint into a model; returns the coverage report.

    Raises:
        UserError: If the file was made for another model.
    """
    if str(path).endswith('.safetensors'):
        return load_adapter(path, model, model.identity)
    return load_checkpoint(read_checkpoint(path), model, source=str(path))
