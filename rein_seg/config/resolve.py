"""From config files and a command's request to the config of a run: the only place that writes it.

The helper of each step is in this folder and is called from here alone. A resolved config may be
resolved again: it has no gaps, so only the request changes it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings

from rein_seg.config.adversary import check_adversary
from rein_seg.config.annealing import fill_annealing
from rein_seg.config.bands import fill_bands, fill_data_bands
from rein_seg.config.class_names import fill_class_names
from rein_seg.config.class_weights import fill_class_weights
from rein_seg.config.config_paths import Parts
from rein_seg.config.defaults import fill_roots, fill_selection, fill_sizes
from rein_seg.config.definitions import Protocol
from rein_seg.config.deviations import (
    NO_DEVIATIONS,
    Deviations,
    check_selection,
    find_deviations,
)
from rein_seg.config.find import find_config
from rein_seg.config.image_classes import fill_image_classes
from rein_seg.config.machine import set_machine
from rein_seg.config.names import check_types, check_words
from rein_seg.config.one_place import fill_ignored_label
from rein_seg.config.options import apply_options
from rein_seg.config.origins import Origins, Trace, leaves
from rein_seg.config.protocol import ConfigProtocols, fill_protocol
from rein_seg.config.read import Generated, read, read_generated
from rein_seg.config.request import Request, fill_work_dir, set_run, take_start
from rein_seg.config.schedule import (
    check_parts,
    check_schedules,
    check_start,
    check_training,
    fill_iterations,
)
from rein_seg.config.schema.check import check_values
from rein_seg.config.source import Source, lay_over, without_marks
from rein_seg.config.spelling import is_resolved, unify_spelling
from rein_seg.config.task import check_task
from rein_seg.config.tasks import fill_tasks
from rein_seg.config.unseen import fill_unseen
from rein_seg.errors import UserError

NOTHING = Request()


@dataclass(frozen=True)
class Resolved:
    """The config of a run.

    Attributes:
        cfg: Complete: mmengine can build everything from it.
        protocol: Its protocol by definition.
        deviations: How the run deviates from the definitions of protocol and benchmark.
        origins: Dotted key of each value -> who set it.
        resume_from: Checkpoint of a training run to resume; None starts a new run.
    """

    cfg: Config
    protocol: Protocol
    deviations: Deviations
    origins: Origins
    resume_from: str | None = None

    def training_record(self) -> dict[str, Any]:
        """Returns the record of a training run for its files."""
        unseen = list(self.cfg.benchmark.get('unseen') or ())
        return {
            'benchmark': self.cfg.benchmark.get('name'),
            **({'unseen': unseen} if unseen else {}),
            'protocol': self.cfg.benchmark.get('protocol'),
            'changed': list(self.deviations.training),
            'selection': self.deviations.selection,
            'max_iters': (self.cfg.get('train_cfg') or {}).get('max_iters'),
        }


def resolve(source: str | Config | Generated, request: Request = NOTHING) -> Resolved:
    """Returns the config of a run, in this order.

    1. read: the file over its bases; a benchmark that one of them names, where it names it;
       last a benchmark that an option names, in place of the file's.
    2. options: ``--cfg-options`` over that. What files and options say is checked already here:
       types, which may not be paths to Python objects, their words, and as in 10.
    3. spelling: values that can be written in two ways get one place; ``comparison`` goes.
    4. run: protocol, work folder, weights to start from, outputs of the command.
    5. protocol: fills gaps; the values of another protocol that filled them before go first.
    6. sizes: classes of several tasks; unseen classes of the benchmark, for training labels and
        metrics; classes, crop and windows of a model without its own; bands of images for data sets
        and encoder; names of classes for its text; the ignored label of all.
    7. roots: ``data_root`` and ``cache_dir`` of data sets without their own.
    8. selection: the benchmark's metric for hooks that say ``'benchmark'``; weights of classes; the
       hook that opens the masks of a head.
    9. machine: launcher, autocast.
    10. names and values: checks of registered names, arguments, types and ranges.
    11. schedule, of a training run: epochs become iterations; checks of schedules and choices.
    12. deviations from the definitions of benchmark and protocol.

    Args:
        source: Config file, name of a shipped config, a generated text, or a config, which stays as
            it is.
        request: Wishes of the command.

    Raises:
        UserError: For the first mistake in files, options or request.

    Example:
        >>> import rein_seg.apis
        >>> from rein_seg.config.request import Request
        >>> from rein_seg.config.resolve import resolve
        >>> short = resolve('rein_dinov2_gtav', Request(options={'max_iters': 400}))
        >>> short.protocol.name, short.deviations.training
        ('rein512', ('max_iters 400 instead of 40000',))
        >>> short.origins['optim_wrapper.optimizer.lr'], short.origins['train_cfg.max_iters']
        ('protocol rein512', 'option')
        >>> resolve(short.cfg, Request(protocol='soma512')).cfg.ema
        {'begin': 12000, 'momentum': 0.0002}
    """
    found, cfg = _read(source, request.benchmark)  # 1
    init_default_scope('mmseg')  # names of classes are looked up in it
    step = Trace(cfg, found.origins)
    step('option', apply_options, request.plain_options, found.variables)  # 2
    check_types(cfg)
    check_values(cfg.to_dict(), step.author, complete=False)
    step('option', check_words, found)
    if request.plain_options:
        check_schedules(cfg)
    parts = Parts(cfg)
    step('spelling', partial(unify_spelling, from_file=isinstance(source, str)), parts)  # 3
    step('default', fill_work_dir, request)  # 4
    step('command', set_run, parts, request)
    resume_from = take_start(cfg, request) if request.training else None
    if request.data_only:
        step('data_root', fill_roots, parts, like=_root)
        step('benchmark', fill_data_bands, parts)
        return Resolved(cfg, Protocol(), NO_DEVIATIONS, step.origins)
    for key in ('model', 'benchmark'):
        if not isinstance(cfg.get(key), dict):
            raise UserError(f'the config has no {key!r}: name a base of _base_ that defines it')
    check_task(cfg, parts)
    known = ConfigProtocols(cfg, parts)
    step(f'protocol {known.name}', fill_protocol, known, like=_iterations)  # 5
    needed = request.training or request.weights_given
    step('data', fill_image_classes, parts, needed)  # 6
    step('benchmark', fill_tasks, parts)
    step('benchmark', fill_unseen, parts, known.seen_labels)
    step('benchmark', fill_sizes, like=_size)
    step('benchmark', fill_bands, parts)
    step('benchmark', fill_class_names, parts)
    step('ignored label', fill_ignored_label, parts)
    step('data_root', fill_roots, parts, like=_root)  # 7
    step('benchmark', fill_selection)  # 8
    step('benchmark', fill_class_weights, request.training)
    step('decode head', fill_annealing, parts)
    step('command', set_machine, request)  # 9
    check_values(cfg.to_dict(), step.author, complete=True)  # 10
    if request.training:
        check_parts(cfg)
        step('epochs', fill_iterations)  # 11
        check_training(cfg, parts)
        if resume_from is None:
            check_start(cfg)
        check_adversary(cfg)
        check_selection(known)
    return Resolved(cfg, known.stated(), find_deviations(known), step.origins, resume_from)  # 12


def _read(source: str | Config | Generated, benchmark: Any) -> tuple[Source, Config]:
    if isinstance(source, Config):
        if benchmark is not None:
            raise UserError(
                f'benchmark={benchmark!r} cannot replace the benchmark of a resolved config: give '
                'it with the config file'
            )
        origins = {key: 'config' for key, _ in leaves(source.to_dict())}
        return Source(origins=origins, unread=None), copy.deepcopy(source)
    if isinstance(source, Generated):
        path, found = source.name, read_generated(source)
    else:
        path = find_config(source)
        found = read(path)
    if is_resolved(found.content):  # a run of an older version left the variables of its files
        found.unread = None
    if benchmark is not None:
        found = lay_over(found, {'benchmark': benchmark}, 'option')
    _import(found.content.get('custom_imports'))
    # formatting its text as yapf does would take seconds, several times a run
    content = without_marks(found.content)
    cfg = Config(content, cfg_text=found.text, filename=path, format_python_code=False)
    return found, cfg


def _import(imports: Any) -> None:
    """Imports the modules that a config names; `check_values` refuses other forms."""
    if not isinstance(imports, Mapping) or 'imports' not in imports:
        return
    try:
        import_modules_from_strings(
            imports['imports'], allow_failed_imports=imports.get('allow_failed_imports', False)
        )
    except Exception as error:
        cause = error.__context__ or error  # mmengine's own names the module alone
        raise UserError(
            f'custom_imports.imports={imports["imports"]!r}: {type(cause).__name__}: '
            f'{cause}: correct the names, or install the package'
        ) from error


# keys that a step copies: a copy has the author of its source


def _iterations(key: str) -> str:
    return 'max_iters' if key == 'train_cfg.max_iters' else key


def _size(key: str) -> str:
    return key.replace('model.', 'benchmark.', 1)


def _root(key: str) -> str:
    return key.rpartition('.')[2]
