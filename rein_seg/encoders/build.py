"""Builds an encoder with its weights: they load here, in the constructor, on every rank."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rein_seg.checkpoint import load_strict, read_state_dict, tensors_sha256
from rein_seg.encoders.checks import check_config
from rein_seg.encoders.pretrained import PREFIX, package_file
from rein_seg.encoders.random_init import draw_filters, draw_weights
from rein_seg.encoders.weights import Converted, refuse_transformers
from rein_seg.environment import quiet_imports
from rein_seg.errors import UserError, near_misses
from rein_seg.registry import (
    ANATOMIES,
    anatomy_function,
    build_with_hints,
    key_map,
    registered_name,
    with_defaults,
)
from rein_seg.structures import Anatomy

# of ImageNet, which DINOv2, EVA02 in Rein's recipe, SAM and ConvNeXt use; 0..255 RGB
DEFAULT_MEAN = (123.675, 116.28, 103.53)
DEFAULT_STD = (58.395, 57.12, 57.375)

_SHAPES_ONLY: ContextVar[bool] = ContextVar('shapes_only', default=False)


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Builds encoders inside without weights and on the meta device: names and sizes, no values."""
    token = _SHAPES_ONLY.set(True)
    try:
        with torch.device('meta'), _CountingOnCPU():
            yield
    finally:
        _SHAPES_ONLY.reset(token)


@dataclass(frozen=True)
class SharedEncoder:
    """A built encoder that other models are to use, too.

    Attributes:
        encoder: The encoder.
        info: What its config said.
        cfg: Its config.
    """

    encoder: nn.Module
    info: EncoderInfo
    cfg: Mapping[str, Any]


_SHARED: ContextVar[SharedEncoder | None] = ContextVar('shared_encoder', default=None)


@contextlib.contextmanager
def sharing(shared: SharedEncoder | None) -> Iterator[None]:
    """Makes `build_encoder` return this encoder inside, to configs that describe the same one."""
    token = _SHARED.set(shared)
    try:
        yield
    finally:
        _SHARED.reset(token)


class _CountingOnCPU(TorchFunctionMode):
    """Keeps ``torch.linspace`` real: constructors read drop-path rates from it."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        more = {'device': 'cpu'} if func is torch.linspace else {}
        return func(*args, **{**more, **(kwargs or {})})


@dataclass(frozen=True)
class EncoderInfo:
    """What else an encoder's config says.

    Attributes:
        name: What results call it.
        weights: ``sha256:...`` of the loaded tensors, ``random:seed=...``, or ``none: ...``.
        config: Its class and arguments.
        mean: Of the images it was trained on, RGB, 0..255.
        std: The same.
    """

    name: str
    weights: str
    config: dict[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = DEFAULT_MEAN
    std: tuple[float, ...] = DEFAULT_STD

    @property
    def identity(self) -> dict[str, Any]:
        """What an adapter must find again: weights, architecture and normalisation."""
        return {
            'weights': self.weights,
            'config': self.config,
            'mean': list(self.mean),
            'std': list(self.std),
        }


def build_encoder(cfg: Mapping[str, Any]) -> tuple[nn.Module, EncoderInfo]:
    """Builds an encoder and loads, or deterministically draws, its weights.

    Args:
        cfg: Registry config of the encoder (``type`` and its arguments) with keys of ours:
            ``checkpoint``, a file of weights, or ``package:NAME`` for one that comes with the
            package; ``init_seed``, a seed for random weights instead,
            for tests and demonstrations; ``pretrained=True``, weights by hub id, for classes that
            have one; ``name``, what to call it in results; ``mean`` and ``std`` of its images
            (default: what the class says, else ImageNet's); ``init_filters=True`` beside
            ``init_seed``, random weights that tell textures apart (`draw_filters`).

    Returns:
        The encoder, in eval mode, and what the config says of it.

    Raises:
        UserError: If not exactly one of ``checkpoint``, ``init_seed`` and ``pretrained=True`` is
            given, the file is missing or cannot be downloaded, or it does not cover every tensor;
            or an encoder is shared (`sharing`) and this is another one.
    """
    shared = _SHARED.get()
    if shared is not None:
        return shared.encoder, _shared_info(shared, cfg)
    args = dict(cfg)
    filters = bool(args.pop('init_filters', False))
    checkpoint, seed = args.pop('checkpoint', None), args.pop('init_seed', None)
    pretrained = args.pop('pretrained', None) or False
    pretrained = pretrained if checkpoint is None else False  # a file of one's own comes first
    if str(checkpoint).startswith(PREFIX):
        checkpoint = package_file(str(checkpoint))
    name = args.pop('name', None) or str(args.get('type'))
    mean, std = args.pop('mean', None), args.pop('std', None)
    _check_source(name, checkpoint=checkpoint, pretrained=pretrained, seed=seed)
    if filters and seed is None:
        raise UserError(f'encoder {name!r}: init_filters=True has an effect with init_seed=N only')
    check_config(args)
    kind = args.pop('type', None)
    encoder = _construct(name, kind, args)
    if _SHAPES_ONLY.get():
        weights = 'none: shapes only'
    elif seed is not None:
        draw_weights(encoder, int(seed))
        if filters:
            draw_filters(find_anatomy(encoder), int(seed))
        weights = f'random:seed={seed}' + (',filters' if filters else '')
        print_log(f'encoder {name!r} has random weights (seed {seed})', logger='current')
    else:
        source = 'the hub' if checkpoint is None else str(checkpoint)
        state = _download(encoder, name) if checkpoint is None else read_state_dict(checkpoint)
        converted = convert_weights(encoder, state)
        report = load_strict(encoder, converted.tensors, what=f'encoder {name!r}', source=source)
        print_log(f'{report} ({converted})', logger='current')
        weights = f'sha256:{tensors_sha256(state)}'
    encoder.eval()
    mean = tuple(mean or getattr(encoder, 'image_mean', DEFAULT_MEAN))
    std = tuple(std or getattr(encoder, 'image_std', DEFAULT_STD))
    return encoder, EncoderInfo(name, weights, describe(encoder, args), mean, std)


def _shared_info(shared: SharedEncoder, cfg: Mapping[str, Any]) -> EncoderInfo:
    """Returns what ``cfg`` says of the shared encoder, which must be the one it describes."""
    with sharing(None), shapes_only():
        _, info = build_encoder(cfg)
    theirs, ours = {**shared.info.config}, {**info.config}
    theirs['weights'], ours['weights'] = shared.info.weights, _shared_weights(shared, cfg)
    other = [key for key in sorted(theirs | ours) if theirs.get(key) != ours.get(key)]
    if other:
        said = ', '.join(f'{key}={ours.get(key)!r}, not {theirs.get(key)!r}' for key in other[:3])
        raise UserError(
            f'encoder {info.name!r} is not the shared one, {shared.info.name!r}: it has {said}; '
            'adapters of another encoder need a service of their own'
        )
    return replace(info, weights=shared.info.weights)


def _shared_weights(shared: SharedEncoder, cfg: Mapping[str, Any]) -> str:
    """Returns the fingerprint of a config's weights; reads a file only if it is another one."""
    keys = ('checkpoint', 'init_seed', 'init_filters', 'pretrained')
    if all(cfg.get(key) == shared.cfg.get(key) for key in keys):
        return shared.info.weights
    if cfg.get('checkpoint') is None:
        return ', '.join(f'{key}={cfg[key]!r}' for key in keys if cfg.get(key) is not None)
    return f'sha256:{tensors_sha256(read_state_dict(cfg["checkpoint"]))}'


def _check_source(name: str, *, checkpoint: Any, pretrained: Any, seed: Any) -> None:
    """Checks that the weights come from exactly one place, and that a file is there."""
    given = [checkpoint is not None, pretrained is True, seed is not None]
    if given.count(True) != 1 or pretrained not in (True, False):
        raise UserError(
            f'encoder {name!r}: give exactly one of checkpoint=FILE (its pretrained weights), '
            'pretrained=True (weights by hub id, where the class has one) and init_seed=N (random '
            f'weights, for tests); came checkpoint={checkpoint!r}, pretrained={pretrained!r}, '
            f'init_seed={seed!r}'
        )
    if not _SHAPES_ONLY.get() and checkpoint is not None and not Path(checkpoint).is_file():
        raise UserError(
            f'encoder {name!r}: weights file {checkpoint!r} does not exist; download it as '
            'docs/reference/weights.md says, or point model.backbone.encoder.checkpoint to it'
        )


def _construct(name: str, kind: Any, args: Mapping[str, Any]) -> nn.Module:
    try:
        with quiet_imports():  # the class's package is imported here, on first use
            cls = MODELS.get(str(kind))
            if cls is None:
                known = _known_classes()
                raise UserError(
                    f'encoder {name!r}: type={kind!r} is not registered; '
                    f'{near_misses(str(kind), known)}'
                )
            return build_with_hints(cls, copy.deepcopy(dict(args)), what=f'encoder {name!r}')
    except AssertionError as error:  # mmpretrain checks its arguments with assert
        raise UserError(f'encoder {name!r} cannot be built: {error}') from error


def describe(encoder: nn.Module, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an encoder's class and all its arguments, those it was not given too.

    Two configs that build the same encoder are to be described equally: an adapter is compared by
    it. Defaults that depend on other arguments are read from the encoder.
    """
    described = {'type': registered_name(type(encoder)), **with_defaults(type(encoder), options)}
    for name, value in described.items():
        derived = getattr(encoder, name, None) if value is None else None
        if isinstance(derived, (bool, int, float, str, list, tuple, dict)):
            described[name] = derived
        if name == 'img_size' and isinstance(value, int):
            described[name] = [value, value]
    return json.loads(json.dumps(described, default=str))


def convert_weights(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Returns a state dict as downloaded under the names and in the sizes of ``encoder``.

    Classes without a key map take a file under their own names.

    Raises:
        UserError: If the file is recognised as one of another kind of encoder, or as one of
            Hugging Face transformers.
    """
    refuse_transformers(encoder, state)
    convert = key_map(encoder)
    return convert(encoder, state) if convert else Converted(state)


def find_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of ``encoder``, found by its exact class.

    Raises:
        UserError: If the class has no anatomy. Subclasses do not inherit one: an encoder that
            overrides ``forward`` (EVA02 derives from ViT) keeps its parts elsewhere.
    """
    describe_sites = anatomy_function(encoder)
    if describe_sites is None:
        name, known = registered_name(type(encoder)), _known_classes()
        raise UserError(
            f'encoder class {name!r} has no anatomy; '
            f'{near_misses(type(encoder).__name__, known)} (known classes: {", ".join(known)}). '
            'Add one: write rein_seg/encoders/<family>.py with a function that returns its '
            f'Anatomy, decorated with @register_anatomy({name!r}).'
        )
    return describe_sites(encoder)


def _known_classes() -> list[str]:
    names = (key if isinstance(key, str) else key.__name__ for key in ANATOMIES)
    return list(dict.fromkeys(name.rpartition('.')[2] for name in names))


def _download(encoder: nn.Module, name: str) -> dict[str, Tensor]:
    if not hasattr(encoder, 'read_pretrained'):
        raise UserError(
            f'encoder {name!r}: {type(encoder).__name__} has no weights by hub id for '
            'pretrained=True; give checkpoint=FILE (docs/reference/weights.md)'
        )
    return encoder.read_pretrained()
