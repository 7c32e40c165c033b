"""Benchmarks and protocols as typed, frozen data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rein_seg.errors import UserError, near_misses

LAST = 'last'
OWN = 'custom-'  # begins the names of benchmarks and protocols of own data, and of no other
DEFAULT_SAMPLER = {'type': 'StreamSampler'}
Node = Mapping[str, Any]  # part of a config, mostly with a ``type``
Pipeline = Sequence[Node]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A named way to make a number: training, choice of the checkpoint, sizes of the test images.

    None leaves a field to the benchmark or to the config.

    Args:
        name: As configs and results have it.
        crop_size: (H, W) of training crops in pixels.
        batch_size: Images on each GPU.
        gpus: Number of GPUs; None is not known.
        train_pipeline: Transforms of every source.
        optim_wrapper: Constructor, optimizer and ``paramwise_cfg``.
        param_scheduler: Schedules; ``end=None`` is the last iteration.
        max_iters: Iterations.
        val_interval: Iterations between validations.
        selection: ``'last'``, or ``dict(metric=..., rule='greater')``.
        also_selects: Further metrics that chose the checkpoint of some of its numbers.
        ema: Arguments of `TrainableEMAHook`.
        multi_scale: Of the model: whether, and how, it trains at several sizes.
        sampler: Of the source images; the default draws each image equally often.
        source_split: Part of the source that trains, where not all of it does.
        test_cfg: Of the model.
        test_pipelines: Domain -> transforms; ``default`` serves all other domains.
        left_out: ``training`` and ``evaluation`` -> parts of the protocol that are missing here.
        not_known: Facts that no source states, each with its stand-in.

    Example:
        >>> from rein_seg.config.definitions import Protocol
        >>> long = Protocol(name='a', test_cfg=dict(mode='slide', stride=(341, 341)))
        >>> mine = long.changed('mine', {'max_iters': 400, 'test_cfg': {'stride': (256, 256)}})
        >>> mine.name, mine.max_iters, mine.test_cfg
        ('mine', 400, {'mode': 'slide', 'stride': (256, 256)})
    """

    name: str = ''
    crop_size: tuple[int, int] | None = None
    batch_size: int | None = None
    gpus: int | None = None
    train_pipeline: Pipeline | None = None
    optim_wrapper: Node | None = None
    param_scheduler: Sequence[Node] | None = None
    max_iters: int | None = None
    val_interval: int | None = None
    selection: str | Node | None = None
    also_selects: Sequence[str] = ()
    ema: Node | None = None
    multi_scale: str | None = None
    sampler: Node = field(default_factory=DEFAULT_SAMPLER.copy)
    source_split: str | None = None
    test_cfg: Node | None = None
    test_pipelines: Mapping[str, Pipeline] = field(default_factory=dict)
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    not_known: Sequence[str] = ()

    def changed(self, name: str, changes: Node) -> Protocol:
        """Returns a protocol that differs in some fields; dicts are merged.

        Args:
            name: Of the protocol returned.
            changes: Fields -> values, as in ``protocols`` of a config.

        Raises:
            UserError: If a key is no field.
        """
        known = [one.name for one in fields(self) if one.name != 'name']
        for key in changes:
            if key not in known:
                raise UserError(f'protocols.{name} has a key {key!r}; {near_misses(key, known)}')
        values = {key: _merged(getattr(self, key), value) for key, value in changes.items()}
        return replace(self, name=name, **values)

    @property
    def best(self) -> str | None:
        """Metric that chooses the checkpoint, None for the last state."""
        return self.selection['metric'] if isinstance(self.selection, Mapping) else None

    @property
    def selects(self) -> list[str]:
        """Metrics that may choose the checkpoint."""
        return [*([self.best] if self.best else []), *self.also_selects]

    def pipeline_of(self, domain: str) -> Pipeline | None:
        """Returns the transforms of a test domain, None where the protocol has none."""
        return self.test_pipelines.get(domain, self.test_pipelines.get('default'))


def _merged(ours: Any, changes: Any) -> Any:
    if not (isinstance(ours, Mapping) and isinstance(changes, Mapping)):
        return changes
    return {**ours, **{key: _merged(ours.get(key), value) for key, value in changes.items()}}


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One data set of a benchmark.

    Args:
        name: Of the domain: scores are reported by it.
        type: Data set class.
        args: Its arguments.
        images: Number of images as downloaded, where the data set does not know it itself.
        evaluated_as: Domain whose test pipeline this one takes; None takes its own.
    """

    name: str
    type: str
    args: Node = field(default_factory=dict)
    images: int | None = None
    evaluated_as: str | None = None

    @property
    def node(self) -> dict[str, Any]:
        """Its part of a config."""
        return {'type': self.type, 'domain': self.name, **self.args}


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A source domain, unseen target domains, a label space, and protocols.

    Without data sets it is a frame for benchmarks of a user's own.

    Args:
        name: As configs and results have it; its files are called so, too.
        num_classes: Size of the label space; None where folders of images name the classes.
        protocols: Names; the first is the default.
        sizes_as: Name of the protocol that its own sizes make, for a benchmark without protocols.
        crop_size: (H, W) of training crops in pixels, where the protocol does not say.
        test_cfg: Of the model, where the protocol does not say.
        data_root: Folder of all data sets.
        train: Sources.
        val: Domains of validation.
        test: Domains of the test; None takes ``val``.
        source: Domain of ``val`` whose score is reported beside the mean.
        targets: Domains of the mean.
        unseen: Names of the classes that training never labels; test labels keep them.
            `SeenUnseenIoU` scores both groups.
        names: Class -> words that a model with text reads in place of its name.
        metric: Of both evaluators.
        test_metric: Further arguments of the test's.
        selection: Metric and rule that ``save_best='benchmark'`` stands for.
        class_weights: Of the loss, a number for each class, or ``auto``: from the training labels.
        tasks: Name of a task -> benchmark of its data, classes and metric; their domains are this
            benchmark's.
        epochs: Of schedules that count in epochs.
        batch_size: Images of a training batch, where the protocol does not say.
        test_batch_size: Images of a test batch.
        workers: Processes of each loader.
        bands: Description of images of other bands than RGB, see `rein_seg.bands.Bands`.
        train_pipeline: Transforms of the sources, where the protocol does not say.
        test_pipeline: Transforms of all other domains, where the protocol does not say.
    """

    name: str
    num_classes: int | None
    protocols: Sequence[str] = ()
    sizes_as: str | None = None
    crop_size: tuple[int, int] | None = None
    test_cfg: Node | None = None
    data_root: str = 'data'
    train: Sequence[Domain] = ()
    val: Sequence[Domain] = ()
    test: Sequence[Domain] | None = None
    source: str | None = None
    targets: Sequence[str] = ()
    unseen: Sequence[str] = ()
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    metric: Node = field(default_factory=lambda: {'type': 'DomainIoUMetric'})
    test_metric: Node = field(default_factory=dict)
    selection: Node | None = None
    class_weights: str | Sequence[float] | None = None
    tasks: Mapping[str, Benchmark] = field(default_factory=dict)
    epochs: int | None = None
    batch_size: int | None = None
    test_batch_size: int = 1
    workers: int = 4
    bands: Node | None = None
    train_pipeline: Pipeline | None = None
    test_pipeline: Pipeline | None = None

    def domains(self, use: str) -> Sequence[Domain]:
        """Returns the data sets for ``use``: train, val or test."""
        if self.tasks:
            return [
                replace(domain, args={**domain.args, 'task': task})
                for task, one in self.tasks.items()
                for domain in one.domains(use)
            ]
        return self.val if use == 'test' and self.test is None else getattr(self, use)

    def every_domain(self) -> list[Domain]:
        """Returns the data sets of all uses."""
        return [domain for use in ('train', 'val', 'test') for domain in self.domains(use)]

    def metric_node(self, use: str) -> dict[str, Any]:
        """Returns the metric of an evaluator: the source and the targets that are scored there."""
        scored = [domain.name for domain in self.domains(use)]
        targets = [name for name in self.targets if name in scored]
        return {
            **self.metric,
            **({'source': self.source} if self.source in scored else {}),
            # without the key all domains but the source are targets, also trained ones
            **({'targets': targets} if targets or self.name.startswith(OWN) else {}),
            **(self.test_metric if use == 'test' else {}),
        }

    def metric_nodes(self, use: str) -> list[dict[str, Any]]:
        """Returns the metrics of an evaluator: a metric for each task."""
        if not self.tasks:
            return [self.metric_node(use)]
        return [{**one.metric_node(use), 'task': task} for task, one in self.tasks.items()]

    @property
    def protocol_names(self) -> list[str]:
        """Names of its protocols."""
        return list(self.protocols or filter(None, [self.sizes_as]))

    def evaluated_as(self) -> dict[str, str]:
        """Returns domain -> domain whose test pipeline it takes, where that is another."""
        every = self.every_domain()
        return {domain.name: domain.evaluated_as for domain in every if domain.evaluated_as}

    def content(self) -> dict[str, Any]:
        """Returns its part of a config: the content of a file that names it.

        Example:
            >>> from rein_seg.config.builtin import benchmarks
            >>> content = benchmarks()['gtav_to_urban'].content()
            >>> content['protocol'], content['benchmark']
            ('rein512', {'name': 'gtav_to_urban', 'num_classes': 19})
            >>> content['test_evaluator']['targets']
            ['cityscapes', 'bdd100k', 'mapillary']
        """
        sizes = {'crop_size': self.crop_size, 'test_cfg': self.test_cfg}
        expected = {
            use: {domain.name: domain.images for domain in self.domains(use) if domain.images}
            for use in ('train', 'val', 'test')
        }
        about = {
            'name': self.name if self.domains('train') else None,
            'num_classes': self.num_classes,
            'protocol': self.sizes_as,
            'selection': self.selection,
            'class_weights': self.class_weights,
            'unseen': list(self.unseen) or None,
            'names': {name: list(words) for name, words in self.names.items()},
            'bands': self.bands,
        }
        said = {
            'protocol': self.protocols[0] if self.protocols else None,
            'benchmark': _given({**about, **sizes}),
            'data_root': self.data_root,
            'epochs': self.epochs,
            'expected_images': {use: numbers for use, numbers in expected.items() if numbers},
            'train_dataloader': self._loader('train'),
            'val_dataloader': self._loader('val'),
            'test_dataloader': self._loader('test'),
            **{f'{use}_evaluator': self._evaluator(use) for use in ('val', 'test')},
        }
        return to_config(_given(said))

    def _evaluator(self, use: str) -> Any:
        nodes = self.metric_nodes(use)
        return nodes if self.tasks else nodes[0]

    def _loader(self, use: str) -> dict[str, Any]:
        training = use == 'train'
        pipeline = self.train_pipeline if training else self.test_pipeline
        aside = _given({'test_mode': None if training else True, 'pipeline': pipeline})
        nodes = [{**domain.node, **aside} for domain in self.domains(use)]
        kind = 'TaskDatasets' if self.tasks else 'ConcatDataset'
        several = {'type': kind, 'datasets': nodes}
        sampler = None if training else {'type': 'DefaultSampler', 'shuffle': False}
        return _given(
            {
                'batch_size': self.batch_size if training else self.test_batch_size,
                'num_workers': self.workers,
                'persistent_workers': True if self.workers else None,
                'sampler': sampler,
                'dataset': nodes[0] if len(nodes) == 1 else several if nodes else None,
            }
        )


def to_config(value: Any) -> Any:
    """Returns a copy in the types of a config: a tuple of dicts is a list, so that options fit."""
    if isinstance(value, Mapping):
        return {key: to_config(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [to_config(part) for part in value]
        return tuple(parts) if isinstance(value, tuple) and not _nodes(value) else parts
    return value


def _nodes(values: Sequence[Any]) -> bool:
    return any(isinstance(value, Mapping) for value in values)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Leaves out fields that say nothing."""
    return {key: value for key, value in values.items() if value not in (None, {})}
