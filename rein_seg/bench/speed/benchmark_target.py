"""What is measured: a config's model with one step of its training, or one prediction.

B batch, H x W image, K classes.
"""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

from rein_seg.bench.speed.official import officially
from rein_seg.config.find import find_config
from rein_seg.config.load import load_config
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError

MODES = ('train', 'predict')
# besides keys of the config, what --compare takes
SWITCHES = ('amp', 'compile', 'official')
_SQUARES = 4  # a side, of the labels: about eleven of nineteen classes in an image, as in a crop


@dataclass(frozen=True)
class Work:
    """What a subject is to do.

    Attributes:
        mode: train or predict.
        size: (H, W) in pixels; None takes the config's crop size.
        batch: B.
        amp: bfloat16 autocast.
        compile: Through ``torch.compile``, as mmengine's runner does it.
        official: Rein with Mask2Former computed as it is officially; see official.py.
        random: Random weights even where the file of the encoder's is there.
        device: Where.
    """

    mode: str = 'train'
    size: tuple[int, int] | None = None
    batch: int = 1
    amp: bool = False
    compile: bool = False
    official: bool = False
    random: bool = False
    device: torch.device = torch.device('cpu')


class Subject:
    """A model on its device with what it trains with, and one step of its work.

    Args:
        cfg: Resolved config; it stays as it is.
        work: What to do.

    Raises:
        UserError: If the encoder takes no images of this size, or a loss of the config has no
            official form.
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
        slides = not train and self.model.test_cfg.mode == 'slide'
        self.model.backbone.check_size(self.model.test_cfg.crop_size if slides else self.size)
        self.optim_wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper) if train else None
        self._data = _draw_batch(self.model, self.size, work)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the matrix products."""
        own = torch.bfloat16 if self.work.amp else torch.float32
        return getattr(self.optim_wrapper, 'dtype', own)

    @property
    def plain(self) -> bool:
        """Whether it runs our own forms in float32 on a CPU, not compiled."""
        plain = self.dtype == torch.float32 and not (self.work.compile or self.work.official)
        return plain and self.work.device.type == 'cpu'

    @cached_property
    def step(self) -> Callable[[], Any]:
        """Does the work once: compiled if asked for."""
        function = self._function()
        return partial(self._call, torch.compile(function) if self.work.compile else function)

    def eager_step(self) -> Any:
        """Does the work once, without compiling."""
        return self._call(self._function())

    def _function(self) -> Callable[..., Any]:
        """Returns what mmengine's loops call, and its runner compiles."""
        return self.model.test_step if self.optim_wrapper is None else self.model.train_step

    def _call(self, function: Callable[..., Any]) -> Any:
        # what a step puts into its samples is not to be there in the next
        data = {
            'inputs': list(self._data['inputs']),
            'data_samples': [sample.clone() for sample in self._data['data_samples']],
        }
        with contextlib.ExitStack() as stack:
            if self.work.official:
                stack.enter_context(officially())
            if self.optim_wrapper is not None:
                return function(data, self.optim_wrapper)
            stack.enter_context(torch.no_grad())
            device, enabled = self.work.device.type, self.work.amp
            stack.enter_context(torch.autocast(device, torch.bfloat16, enabled=enabled))
            return function(data)


def make_subjects(
    config: str, compare: Sequence[str], work: Work, *, cfg_options: Mapping[str, Any]
) -> dict[str, Subject]:
    """Builds ``config`` and what it is compared with, by name.

    Args:
        config: Config file.
        compare: Config files, or options for ``config``: ``KEY=VALUE[,KEY=VALUE]``, where amp,
            compile and official, True or False, are keys too.
        work: What to do.
        cfg_options: Further options of all of them.

    Raises:
        UserError: If an entry is neither, or two have one name.
    """
    subjects: dict[str, Subject] = {}
    for path, options, switches, name in [
        (config, {}, {}, Path(config).stem),
        *(_read_entry(config, entry) for entry in compare),
    ]:
        if name in subjects:
            raise UserError(f'--compare: {name!r} comes twice; each is to be something else')
        cfg = load_config(path, cfg_options={**cfg_options, **options})
        subjects[name] = Subject(cfg, Work(**{**vars(work), **switches}))
    return subjects


def _read_entry(config: str, entry: str) -> tuple[str, dict[str, Any], dict[str, bool], str]:
    """Returns config file, options, switches and name of one thing to compare."""
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
    switches = {key: options.pop(key) for key in SWITCHES if key in options}
    for key, value in switches.items():
        if not isinstance(value, bool):
            raise UserError(f'--compare {key}={value!r}: expected True or False')
    return config, options, switches, entry


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
    """Tells whether the losses of a set leave ignored pixels out, which is not official."""
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
    """Has PyTorch use so many threads for a while; None leaves them."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
