"""A segmentor of several tasks: one encoder, method, neck and text, heads of each task.

B batch, K classes of a task, H x W image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from rein_seg.building import building
from rein_seg.datasets.label_space import check_label_space
from rein_seg.datasets.task_datasets import all_classes
from rein_seg.errors import UserError, near_misses
from rein_seg.heads.contract import HeadInputs
from rein_seg.heads.mmseg_head import as_head
from rein_seg.models.head_config import build_head
from rein_seg.models.joining import refuse_joining
from rein_seg.models.segmentor import PEFTSegmentor, build_all
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Features
from rein_seg.text.names import spoken

_OF_TASK = ('classes', 'decode_head', 'auxiliary_head')


@MODELS.register_module()
class MultiTaskSegmentor(PEFTSegmentor):
    """A `PEFTSegmentor` with a decode head, and auxiliary heads, for each of several named tasks.

    A batch of training holds one task, whose heads alone see it: labels of a task never enter a
    loss of another task. Predictions are of the task that a sample names, else of `current`.

    Text, if there is any, has the names of all tasks, a shared name once: a neck sees all of them,
    the heads of a task see its own. A prompt with vectors of each task reads those of the task.

    Args:
        backbone: As `PEFTSegmentor`.
        decode_head: Config of the head of every task that names none of its own.
        tasks: Name -> ``classes``, the names in the order of the indexes, and ``decode_head`` and
            ``auxiliary_head`` where they are not the model's. The run fills in the classes of the
            data. The first task is the default of predictions.
        num_classes: Number of different names of all tasks.
        auxiliary_head: Config, or list of configs, of every task that names none of its own.
        text: As `PEFTSegmentor`.
        **options: As `PEFTSegmentor`.

    Attributes:
        tasks: Name -> names of its classes.
        current: The task of the heads, of ``num_classes`` and of predictions; see `set_task`.

    Raises:
        UserError: If there are no tasks, a task has no classes, a class twice or no head, the
            method learns from labels, or words or prompts are of other tasks.

    Example:
        >>> import torch
        >>> from mmseg.registry import MODELS
        >>> import rein_seg.apis
        >>> backbone = dict(type='PEFTBackbone', encoder=dict(type='TinyViT', init_seed=0),
        ...     peft=dict(type='LoRA', rank=2))
        >>> tasks = dict(streets=dict(classes=['road', 'sky', 'car']),
        ...     car=dict(classes=['background', 'car']))
        >>> model = MODELS.build(dict(type='MultiTaskSegmentor', backbone=backbone, tasks=tasks,
        ...     decode_head=dict(type='LinearHead'), num_classes=4)).eval()
        >>> model.set_task('car')
        >>> int(model.predict(torch.randn(1, 3, 64, 64))[0].pred_sem_seg.data.max()) < 2
        True
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        decode_head: Mapping[str, Any] | None = None,
        *,
        tasks: Mapping[str, Mapping[str, Any]],
        num_classes: int | None = None,
        auxiliary_head: Mapping[str, Any] | list | None = None,
        text: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.tasks = check_tasks(tasks)
        self._own = {name: dict(one) for name, one in tasks.items()}
        names = all_classes(self.tasks)
        if num_classes not in (None, len(names)):
            raise UserError(
                f'model.num_classes={num_classes}, and the tasks name {len(names)} different '
                'classes: expected the same; leave it out, it is filled in'
            )
        _check_methods(backbone)
        _check_heads(self._own, decode_head)
        every = (decode_head, *(one.get('decode_head') for one in tasks.values()))
        shared: Mapping[str, Any] = next(filter(None, every))
        super().__init__(
            backbone,
            shared,
            num_classes=len(names),
            auxiliary_head=auxiliary_head,
            text=None if text is None else {**text, 'classes': text.get('classes') or list(names)},
            **options,
        )
        self._check_words()
        self._check_prompts()
        self.set_task(next(iter(self.tasks)))

    def build_heads(self, decode_head: Any, auxiliary_head: Any, inputs: HeadInputs) -> None:
        """Builds the heads of each task; see `PEFTSegmentor.build_heads`."""
        self.current = next(iter(self.tasks))
        self.decode_heads, self.auxiliary_heads = nn.ModuleDict(), nn.ModuleDict()
        for name, classes in self.tasks.items():
            own, facts = self._own[name], replace(inputs, num_classes=len(classes))
            with building(f'model.tasks.{name}'):
                self.decode_heads[name] = build_head(own.get('decode_head') or decode_head, facts)
                auxiliary = own.get('auxiliary_head', auxiliary_head)
                if auxiliary is not None:
                    self.auxiliary_heads[name] = build_all(auxiliary, facts)

    def head_modules(self) -> dict[str, nn.Module]:
        """Returns the modules of the task's heads by the prefix of their losses."""
        auxiliary = _in(self.auxiliary_heads, self.current)
        aside = {f'aux_{i}': head for i, head in enumerate(auxiliary)}
        return {'decode': self.decode_heads[self.current], **aside}

    def every_head(self) -> Iterator[tuple[str, nn.Module]]:
        """Yields the place in the config of each head of each task, and its module."""
        for name in self.tasks:
            each = [self.decode_heads[name], *_in(self.auxiliary_heads, name)]
            yield from ((f'model.tasks.{name}', module) for module in each)

    @property
    def trained_classes(self) -> int:
        """Number of different names of all tasks."""
        return len(all_classes(self.tasks))

    @property
    def identity(self) -> dict[str, Any]:
        """The facts that weights must share with this model, its tasks among them."""
        return {**super().identity, 'tasks': {name: list(k) for name, k in self.tasks.items()}}

    @property
    def has_open_vocabulary(self) -> bool:
        """Whether other classes can be predicted: no, since classes belong to tasks."""
        return False

    def set_task(self, task: str) -> None:
        """Predicts, and trains, another task from now on.

        Args:
            task: Its name.

        Raises:
            UserError: If the model has no such task.
        """
        if task not in self.tasks:
            raise UserError(
                f'task={task!r} is no task of the model; {near_misses(task, self.tasks)}'
            )
        self.current = task
        head = as_head(self.decode_heads[task])
        self.num_classes, self.out_channels = head.num_classes, head.out_channels
        self.align_corners = head.align_corners
        if self.text is not None and _prompts_of_tasks(self.text):
            prompts: Any = self.text
            prompts.set_task(task)

    @contextmanager
    def on_task(self, task: str) -> Iterator[None]:
        """Has the model work on a task, and goes back to its former task."""
        before = self.current
        self.set_task(task)
        try:
            yield
        finally:
            self.set_task(before)

    def extract_feat(self, inputs: Tensor) -> Features:
        """Returns the features after the neck; text and scores are of the task's classes."""
        features = super().extract_feat(inputs)
        if features.text is None:
            return features
        assert self.text is not None
        known = [spoken(name) for name in self.text.classes]
        rows = [known.index(spoken(name)) for name in self.tasks[self.current]]
        fixed, scores = features.fixed_text, features.scores
        return replace(
            features,
            text=features.text[..., rows, :],
            fixed_text=None if fixed is None else fixed[rows],
            scores=None if scores is None else scores[:, rows],
        )

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Returns the losses of the task of a batch; their names begin with it.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: With the task and the labels, (1, H, W) each.

        Raises:
            UserError: If the batch names no task, or several.
        """
        named = list(dict.fromkeys(sample.get('task') for sample in data_samples))
        if len(named) != 1 or named[0] is None:
            raise UserError(
                f'a batch of the tasks {named}: expected samples of one task, which they name; '
                "take TaskDatasets and sampler=dict(type='TaskSampler')"
            )
        with self.on_task(named[0]):
            losses = super().loss(inputs, data_samples)
        return {f'{named[0]}.{name}': value for name, value in losses.items()}

    def predict(
        self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Returns samples with predictions, each of its own task; see `PEFTSegmentor.predict`.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: Samples to fill; None, or a sample without a task, takes `current`.
        """
        if data_samples is None:
            return super().predict(inputs)
        tasks = [sample.get('task') or self.current for sample in data_samples]
        found: dict[int, SegDataSample] = {}
        for task in dict.fromkeys(tasks):
            at = [i for i, own in enumerate(tasks) if own == task]
            with self.on_task(task):
                of_task = super().predict(inputs[torch.tensor(at)], [data_samples[i] for i in at])
            found |= dict(zip(at, of_task, strict=True))
        return [found[i] for i in range(len(tasks))]

    def _check_words(self) -> None:
        """Checks that the text branch names every class of every task."""
        if self.text is None:
            return
        known = {spoken(name) for name in self.text.classes}
        for task, classes in self.tasks.items():
            lacking = [name for name in classes if spoken(name) not in known]
            if lacking:
                more = f' and {len(lacking) - 1} more' if len(lacking) > 1 else ''
                raise UserError(
                    f'model.text.classes lacks {lacking[0]!r}{more} of the task {task!r}: expected '
                    'the names of all tasks; leave classes out, they are filled in'
                )

    def _check_prompts(self) -> None:
        """Checks that prompts with vectors of tasks have those of this model."""
        if self.text is None or not _prompts_of_tasks(self.text):
            return
        prompts: Any = self.text
        if tuple(prompts.tasks) != tuple(self.tasks):
            raise UserError(
                f'model.text.tasks={list(prompts.tasks)}, and the model has the tasks '
                f'{list(self.tasks)}: expected the same in one order; set model.text.tasks'
            )


def check_tasks(tasks: Any) -> dict[str, tuple[str, ...]]:
    """Returns the names of the classes of each task.

    Args:
        tasks: As `MultiTaskSegmentor`.

    Raises:
        UserError: If there are none, a name is none for a module, an argument is not known, or a
            task has no classes or a class twice.

    Example:
        >>> from rein_seg.models.multi_task import check_tasks
        >>> check_tasks(dict(road=dict(classes=['rest', 'road'])))
        {'road': ('rest', 'road')}
        >>> check_tasks(dict(road=dict()))
        Traceback (most recent call last):
        rein_seg.errors.UserError: model.tasks.road has no classes: expected their names in the
        order of the indexes; set task='road' in its data sets, or give classes=[...]
    """
    if not isinstance(tasks, Mapping) or not tasks:
        raise UserError(
            f'model.tasks={tasks!r}: expected tasks by name, such as '
            "dict(road=dict(classes=['background', 'road'])); name them, or take PEFTSegmentor"
        )
    for name, one in tasks.items():
        # a name becomes part of those of modules and of losses
        if not _is_word(name) or hasattr(nn.ModuleDict, name) or 'loss' in name:
            raise UserError(
                f'model.tasks names {name!r}: expected a word of letters, digits and _, such as '
                "'road', without 'loss'; rename it"
            )
        for key in one or {}:
            if key not in _OF_TASK:
                raise UserError(f'model.tasks.{name}.{key}; {near_misses(key, _OF_TASK)}')
        if not (one or {}).get('classes'):
            raise UserError(
                f'model.tasks.{name} has no classes: expected their names in the order of the '
                f'indexes; set task={name!r} in its data sets, or give classes=[...]'
            )
        check_label_space({'classes': list(one['classes'])}, 255, f'model.tasks.{name}')
    return {name: tuple(one['classes']) for name, one in tasks.items()}


def _check_heads(tasks: Mapping[str, Mapping[str, Any]], shared: Any) -> None:
    own = {f'model.tasks.{name}.decode_head': one.get('decode_head') for name, one in tasks.items()}
    refuse_joining({'model.decode_head': shared, **own})
    for name, one in tasks.items():
        if shared is None and one.get('decode_head') is None:
            raise UserError(
                f'model.tasks.{name} has no head: expected model.decode_head, of all tasks, or '
                f'model.tasks.{name}.decode_head; set one of them'
            )


def _check_methods(backbone: Mapping[str, Any]) -> None:
    """Checks that no method learns from labels, whose indexes mean another class in each task."""
    peft = backbone['peft']
    for method in [peft] if isinstance(peft, Mapping) else peft:
        cls = PEFT_METHODS.get(method.get('type', ''))
        if cls is not None and 'num_classes' in cls.filled_in:
            raise UserError(
                f'model.backbone.peft={method["type"]!r} learns from the labels of one set of '
                'classes, and the model has several tasks: expected a method without labels, such '
                'as LoRA; take it, or PEFTSegmentor'
            )


def _is_word(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier()


def _in(heads: Any, task: str) -> Sequence[nn.Module]:
    return heads[task] if task in heads else ()  # noqa: SIM401  a ModuleDict has no get


def _prompts_of_tasks(text: Any) -> bool:
    return getattr(text, 'tasks', ('',)) != ('',)
