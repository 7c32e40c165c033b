"""The data sets of several tasks as one data set.

A task has classes of its own: an index means another class in each task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.dataset import ConcatDataset
from mmseg.registry import DATASETS

from rein_seg.errors import UserError
from rein_seg.palettes import palette_for
from rein_seg.text.names import spoken


@DATASETS.register_module()
class TaskDatasets(ConcatDataset):
    """A concatenation of data sets, each of a named task.

    ``metainfo`` has the names of all tasks, each once, and ``tasks``: name -> classes and palette.

    Args:
        datasets: Data sets with a ``task`` each, or their configs.
        lazy_init: As mmengine's `ConcatDataset`.

    Raises:
        UserError: If a data set names no task, or two of one task have other classes.

    Example:
        >>> import rein_seg.apis
        >>> from rein_seg.datasets import TaskDatasets
        >>> small = dict(domain='fog', split='val', count=1, size=(64, 32), data_root='scenes')
        >>> both = TaskDatasets([
        ...     dict(type='MiniScapesDataset', task='all', **small),
        ...     dict(type='MiniRoadsDataset', task='road', **small)])
        >>> both.metainfo['tasks']['road']['classes'], len(both.metainfo['classes'])
        (('background', 'road'), 20)
        >>> both.indexes()
        {'all': [0], 'road': [1]}
    """

    def __init__(self, datasets: Sequence[Any], lazy_init: bool = False) -> None:
        built = [DATASETS.build(one) if isinstance(one, Mapping) else one for one in datasets]
        keys = sorted({key for one in built for key in one.metainfo})
        super().__init__(built, lazy_init, ignore_keys=keys)
        tasks: dict[str, dict[str, Any]] = {}
        for part in built:
            task, classes = getattr(part, 'of_task', None), tuple(part.metainfo['classes'])
            if task is None:
                raise UserError(
                    f'domain {getattr(part, "domain", "?")!r} names no task among the data of '
                    'several tasks: expected the task of its labels; set task=NAME in the data set'
                )
            known = tasks.setdefault(task, {'classes': classes, 'palette': _palette(part)})
            if known['classes'] != classes:
                raise UserError(
                    f'task {task!r} has data sets of the classes {known["classes"]} and {classes}: '
                    'expected the same in one order; give one of them another task'
                )
        colours = {
            name: colour
            for one in reversed(tasks.values())
            for name, colour in zip(one['classes'], one['palette'], strict=True)
        }
        classes = all_classes({name: one['classes'] for name, one in tasks.items()})
        self._metainfo = {
            'classes': classes,
            'palette': [colours[name] for name in classes],
            'tasks': tasks,
        }

    def indexes(self) -> dict[str, list[int]]:
        """Returns task -> indexes of its samples."""
        found: dict[str, list[int]] = {}
        for part, last in zip(self.datasets, self.cumulative_sizes, strict=True):
            found.setdefault(part.of_task, []).extend(range(last - len(part), last))
        return found

    def of(self, task: str) -> ConcatDataset:
        """Returns the data sets of a task, with its classes and palette."""
        return ConcatDataset([part for part in self.datasets if part.of_task == task])


def all_classes(tasks: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Returns the names of the classes of all tasks; a name of several tasks comes once.

    Args:
        tasks: Name -> names of its classes.

    Example:
        >>> from rein_seg.datasets.task_datasets import all_classes
        >>> all_classes({'streets': ['road', 'traffic light'], 'road': ['rest', 'road']})
        ('road', 'traffic light', 'rest')
    """
    every: dict[str, str] = {}
    for name in (name for classes in tasks.values() for name in classes):
        every.setdefault(spoken(name), name)
    return tuple(every.values())


def views(dataset: Any) -> Iterator[tuple[str | None, Any]]:
    """Yields each task with its data; of data of one task None with all.

    Args:
        dataset: A data set of a loader.

    Example:
        >>> from rein_seg.datasets.task_datasets import views
        >>> list(views('data'))
        [(None, 'data')]
    """
    if isinstance(dataset, TaskDatasets):
        yield from ((task, dataset.of(task)) for task in dataset.metainfo['tasks'])
    else:
        yield None, dataset


def _palette(part: Any) -> list[list[int]]:
    colours = palette_for(len(part.metainfo['classes']), part.metainfo.get('palette'))
    return [[int(v) for v in colour] for colour in colours]
