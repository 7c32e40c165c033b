"""The target of a benchmark: a config's model with one step of its training, or one prediction.

B batch, H x W image, K classes.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from rein_seg.bench.speed.for_predictions import as_mmseg, merged_model
from rein_seg.bench.speed.official import officially
from rein_seg.config.find import find_config
from rein_seg.config.load import load_config
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.config.task import check_segments
from rein_seg.errors import UserError
from rein_seg.fast.dispatch import check_names, without
from rein_seg.models.windows import WINDOWED

MODES = ('train', 'predict')
# keys of --compare beside the keys of a config
OPTIONS = ('amp', 'compile', 'official', 'merged', 'mmseg', 'without')
_SQUARES = 4  # of the labels, on a side: about eleven of nineteen classes in an image, as in a crop


@dataclass(frozen=True)
class Work:
    """The work of a target.

    Attributes:
        mode: train or predict.
        size: (H, W) in pixels; None takes the config's crop size.
        batch: B.
        amp: bfloat16 autocast.
        compile: Through ``torch.compile``, as mmengine's runner does it.
        official: Rein with Mask2Former computed as in the official code; see official.py.
        merged: Method and batch norms merged into the weights, channels last; predictions alone.
        mmseg: The network as mmseg's own classes compute it; predictions of DDRNet alone.
        without: Fast forms to leave out, by name.
        random: Random weights even if the encoder's file exists.
        device: Device to run on.
    """

    mode: str = 'train'
    size: tuple[int, int] | None = None
    batch: int = 1
    amp: bool = False
    compile: bool = False
    official: bool = False
    merged: bool = False
    mmseg: bool = False
    without: tuple[str, ...] = ()
    random: bool = False
    device: torch.device = torch.device('cpu')


class BenchmarkTarget:
    """A model and its optimizer on a device, with one step of its work.

    Args:
        cfg: Resolved config; it stays as it is.
        work: The work to do.

    Raises:
        UserError: If the encoder takes no images of this size, a loss of the config has no
            official form, or ``merged`` or ``mmseg`` cannot be had.
    """

    def __init__(self, cfg: Config, work: Work) -> None:
        self.work, self.size = work, work.size or _crop_size(cfg)
        train = work.mode == 'train'
        draws = _draws_weights(cfg, always=work.random)
        options: dict[str, Any] = _random_weights(cfg) if draws else {}
        if work.official:
            options |= {'optim_wrapper.optimizer.foreach': False}
            options |= {'model.test_cfg.batch_windows': 1}
        if train:
            options |= {'model.crop_size': self.size}  # smaller images would be padded to the crop
        self.cfg = cfg = resolve(cfg, Request(options=options, amp=work.amp and train)).cfg
        self.random = cfg.model.backbone.encoder.get('init_seed') is not None
        torch.manual_seed(0)
        self.model: nn.Module = MODELS.build(cfg.model).to(work.device).train(train)
        if train and work.official and _leaves_out_ignored(self.model):
            raise UserError(
                'official=True measures the official formulation, which counts ignored pixels as '
                'background; the config has leave_out_ignored=True: compare with '
                'model.decode_head.loss.leave_out_ignored=False'
            )
        slides = not train and self.model.test_cfg.mode in WINDOWED
        self.model.backbone.check_size(self.model.test_cfg.crop_size if slides else self.size)
        self.optim_wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper) if train else None
        self._data = _draw_batch(self.model, self.size, work)
        # masks that open in training are all in force in it, and all open after it
        head = self.model.decode_head
        anneals = getattr(head, 'anneals_masks', False)
        self._mask_probs = head.attn_mask_probs if anneals else None
        if work.merged or work.mmseg:
            self._rebuild()

    def doing(self, work: Work) -> BenchmarkTarget:
        """Returns a target that does other work with the same model: train, or predict.

        Args:
            work: With a size. Its training, if any, needs a target that was built for it.
        """
        other = copy.copy(self)
        other.__dict__.pop('step', None)
        assert work.size is not None
        other.work, other.size = work, work.size
        if work.mode == 'predict':
            other.optim_wrapper = None
        other._data = _draw_batch(other.model, other.size, work)
        return other

    def _rebuild(self) -> None:
        if self.work.mode == 'train':
            raise UserError('merged and mmseg are of predictions: add --mode predict')
        if self.work.mmseg:
            self.model = as_mmseg(self.model).to(self.work.device).eval()
        if self.work.merged:
            self.model = merged_model(self.model, self.size)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the matrix products."""
        own = torch.bfloat16 if self.work.amp else torch.float32
        return getattr(self.optim_wrapper, 'dtype', own)

    @property
    def plain(self) -> bool:
        """Whether it runs in float32 on a CPU, eager, with all fast forms."""
        work = self.work
        changed = work.compile or work.official or work.merged or work.mmseg or work.without
        return self.dtype == torch.float32 and not changed and work.device.type == 'cpu'

    @property
    def frees_memory(self) -> bool:
        """Whether its steps return freed memory to the system."""
        left_out = self.work.official or 'kept_memory' in self.work.without
        return left_out and self.work.device.type == 'cpu'

    @cached_property
    def step(self) -> Callable[[], Any]:
        """Does the work once, compiled where ``work.compile`` says so."""
        function = self._function()
        return partial(self._call, torch.compile(function) if self.work.compile else function)

    def eager_step(self) -> Any:
        """Does the work once, without compiling."""
        return self._call(self._function())

    def _function(self) -> Callable[..., Any]:
        """Returns the method that mmengine's loops call, and its runner compiles."""
        return self.model.test_step if self.optim_wrapper is None else self.model.train_step

    def _call(self, function: Callable[..., Any]) -> Any:
        train = self.optim_wrapper is not None
        self.model.train(train)
        if self._mask_probs is not None:
            self._mask_probs.fill_(1.0 if train else 0.0)
        # copies: a step writes into its samples
        data = {
            'inputs': list(self._data['inputs']),
            'data_samples': [sample.clone() for sample in self._data['data_samples']],
        }
        with contextlib.ExitStack() as stack:
            if self.work.official:
                stack.enter_context(officially())
            if self.work.without:
                stack.enter_context(without(*self.work.without))
            if self.optim_wrapper is not None:
                return function(data, self.optim_wrapper)
            stack.enter_context(torch.no_grad())
            device, enabled = self.work.device.type, self.work.amp
            stack.enter_context(torch.autocast(device, torch.bfloat16, enabled=enabled))
            return function(data)


def make_targets(
    config: str, compare: Sequence[str], work: Work, *, cfg_options: Mapping[str, Any]
) -> dict[str, BenchmarkTarget]:
    """Builds ``config`` and the targets to compare it with, by name.

    Args:
        config: Config file.
        compare: Config files, or options for ``config``: ``KEY=VALUE[,KEY=VALUE]``. Further keys
            are amp, compile, official, merged and mmseg (True or False), and without (names of fast
            forms).
        work: The work of all targets.
        cfg_options: Further options of all configs.

    Raises:
        UserError: If an entry is neither, or two have the same name.
    """
    targets: dict[str, BenchmarkTarget] = {}
    for path, options, changes, name in [
        (config, {}, {}, Path(config).stem),
        *(_read_entry(config, entry) for entry in compare),
    ]:
        if name in targets:
            raise UserError(f'--compare: {name!r} comes twice: give each entry once')
        cfg = load_config(path, cfg_options={**cfg_options, **options})
        check_segments(cfg, 'rein-seg benchmark')
        targets[name] = BenchmarkTarget(cfg, replace(work, **changes))
    return targets


def _read_entry(config: str, entry: str) -> tuple[str, dict[str, Any], dict[str, Any], str]:
    """Returns config file, options, changes of `Work` and name of an entry of ``compare``."""
    if '=' not in entry:
        try:
            path = find_config(entry)
        except UserError as error:
            raise UserError(f'--compare: {error}, or options: KEY=VALUE[,KEY=VALUE]') from error
        return path, {}, {}, str(Path(entry).with_suffix(''))
    parts = re.split(r',(?=[\w.]+=)', entry)
    if not all(re.match(r'[\w.]+=', part) for part in parts):
        raise UserError(f'--compare {entry!r}: expected KEY=VALUE[,KEY=VALUE]')
    parser = argparse.ArgumentParser()
    parser.add_argument('--options', nargs='+', action=DictAction)
    options = parser.parse_args(['--options', *parts]).options
    changes = {key: options.pop(key) for key in OPTIONS if key in options}
    if 'without' in changes:
        names = changes['without']
        changes['without'] = tuple(names) if isinstance(names, list) else (names,)
        check_names(changes['without'])
    for key, value in changes.items():
        if key != 'without' and not isinstance(value, bool):
            raise UserError(f'--compare {key}={value!r}: expected True or False')
    return config, options, changes, entry


def _draws_weights(cfg: Config, *, always: bool) -> bool:
    """Says whether the encoder is to draw its weights: if asked for, or its file is not there."""
    file = cfg.model.backbone.encoder.get('checkpoint')
    return always or (file is not None and not Path(file).is_file())


def _random_weights(cfg: Config) -> dict[str, Any]:
    """Returns options that have the encoder draw its weights."""
    seed = cfg.model.backbone.encoder.get('init_seed')
    said = {'checkpoint': None, 'pretrained': None, 'init_seed': 0 if seed is None else seed}
    return {f'model.backbone.encoder.{key}': value for key, value in said.items()}


def _leaves_out_ignored(model: nn.Module) -> bool:
    """Tells whether set losses leave ignored pixels out, which the official code does not."""
    return getattr(getattr(model.decode_head, 'set_loss', None), 'leave_out_ignored', False)


def _crop_size(cfg: Config) -> tuple[int, int]:
    size = cfg.model.get('crop_size')
    if size is None:
        raise UserError('the config has no crop_size: say with --size H W what to measure')
    return tuple(size)


def _draw_batch(model: nn.Module, size: tuple[int, int], work: Work) -> dict[str, list]:
    """Returns noise as images, and squares of random classes as labels, a row of them ignored."""
    generator = torch.Generator().manual_seed(0)
    samples, images = [], []
    for _ in range(work.batch):
        shape = (3, *size)
        images.append(torch.randint(256, shape, generator=generator, dtype=torch.uint8))
        squares = torch.randint(model.num_classes, (_SQUARES, _SQUARES), generator=generator)
        label = nn.functional.interpolate(squares[None, None].float(), size=size)[0].long()
        label[:, : size[0] // 16] = model.decode_head.ignore_index
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
        sample.gt_sem_seg = PixelData(data=label)
        samples.append(sample)
    return {'inputs': images, 'data_samples': samples}


@contextlib.contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Sets the number of PyTorch's threads for a while; None leaves it.

    Example:
        >>> import torch
        >>> from rein_seg.bench.speed.benchmark_target import threads
        >>> with threads(1):
        ...     torch.get_num_threads()
        1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
