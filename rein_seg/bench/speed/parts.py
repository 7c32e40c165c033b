"""The parts of a model, and the part that each operation belongs to, also in the backward pass."""

from __future__ import annotations

import bisect
import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.profiler import record_function

from rein_seg.heads import Mask2FormerHead
from rein_seg.heads.mask2former.deform_attn import DeformAttention
from rein_seg.heads.mask2former.layers import FFN, ConvGN
from rein_seg.structures import StreamSite

REST = 'other'
OPTIMIZER = 'optimizer'
# parts lie inside one another: an operation belongs to the innermost
ENCODER = ('encoder, rest', 'encoder blocks', 'method')
HEAD = (
    'neck',
    'pixel decoder',
    '3x3 convolution',
    'deformable attention',
    'deformable sampling',
    'feed-forward',
    'transformer decoder',
    'head',
    'losses',
    'matching',
    'Hungarian solver',
    'prediction',
)
PARTS = (
    'preprocessing', *ENCODER, *HEAD, 'windows', 'labels', 'backward, rest', OPTIMIZER, REST,
)  # fmt: skip
RANGE = 'part:'


class PartTrack:
    """Records the part that runs.

    An operation that is differentiated makes a node of the graph, and nodes are numbered in order.
    So the number at which each part began tells the part of a node that the backward pass runs.
    """

    def __init__(self) -> None:
        self._stack: list[tuple[str, bool]] = [(REST, False)]  # part, begun in a backward pass
        self._numbers: list[int] = []
        self._names: list[str] = []
        self._note()

    @property
    def current(self) -> str:
        """The part that runs now."""
        part, again = self._stack[-1]
        node = torch._C._current_autograd_node()
        # operations that activation checkpointing runs again enter their part again
        return part if node is None or again else self.of_node(node._sequence_nr())

    @contextlib.contextmanager
    def inside(self, part: str) -> Iterator[None]:
        """Records that ``part`` runs."""
        self._stack.append((part, torch._C._current_autograd_node() is not None))
        self._note()
        try:
            yield
        finally:
            self._stack.pop()
            self._note()

    def of_node(self, number: int) -> str:
        """Returns the part that made the node of this sequence number."""
        at = bisect.bisect_right(self._numbers, number) - 1
        return self._names[at] if at >= 0 and number < 2**63 else 'backward, rest'

    def _note(self) -> None:
        # each thread has its own numbers, and operations run again make no nodes
        if torch._C._current_autograd_node() is None:
            self._numbers.append(torch._C._autograd._get_sequence_nr())
            self._names.append(self._stack[-1][0])


@contextlib.contextmanager
def tracked(model: nn.Module, optim_wrapper: Any = None) -> Iterator[PartTrack]:
    """Tracks the parts of a `PEFTSegmentor` and of its optimizer.

    In a profiler each part is a range ``part:NAME``.
    """
    track = PartTrack()
    with contextlib.ExitStack() as stack:
        for owner, name, part in _places(model, optim_wrapper):
            stack.enter_context(_attribute(owner, name, _within(track, part)))
        for hooks in _hooks(model.backbone.encoder):
            stack.enter_context(_method_hooks(hooks, _within(track, 'method')))
        yield track


def _within(track: PartTrack, part: str) -> Callable[[Callable], Callable]:
    """Returns a decorator: its function runs as ``part``."""

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            profiled = torch.autograd._profiler_enabled()
            named = record_function(RANGE + part) if profiled else contextlib.nullcontext()
            with track.inside(part), named:
                return function(*args, **kwargs)

        return call

    return decorate


def _places(model: nn.Module, optim_wrapper: Any) -> Iterator[tuple[Any, str, str]]:
    """Yields object, name of its function, and part."""
    backbone, head = model.backbone, model.decode_head
    yield model.data_preprocessor, 'forward', 'preprocessing'
    yield backbone, 'forward', 'encoder, rest'
    for site in backbone.anatomy.find(StreamSite, where='out'):
        yield site.taps[0].module, 'forward', 'encoder blocks'
    for name in ('queries', 'aux_losses', 'label_losses'):
        yield backbone.peft, name, 'method'
    if model.with_neck:
        yield model.neck, 'forward', 'neck'
    for each in (head, *(model.auxiliary_head if model.with_auxiliary_head else ())):
        yield from _head_places(each)
    yield model, 'parse_losses', 'losses'
    yield model, 'slide_inference', 'windows'
    yield model, 'postprocess_result', 'labels'
    if optim_wrapper is not None:
        yield optim_wrapper, 'backward', 'backward, rest'
        yield optim_wrapper, 'step', OPTIMIZER
        yield optim_wrapper, 'zero_grad', OPTIMIZER


def _head_places(head: nn.Module) -> Iterator[tuple[Any, str, str]]:
    yield head, 'forward', 'head'
    yield head, 'loss', 'losses'
    yield head, 'predict', 'prediction'
    if not isinstance(head, Mask2FormerHead):
        return
    yield head.transformer_decoder, 'forward', 'transformer decoder'
    for name in ('forward', 'decode'):
        yield head.pixel_decoder, name, 'pixel decoder'
    for module in head.pixel_decoder.modules():
        if isinstance(module, ConvGN) and module.conv.kernel_size == (3, 3):
            yield module, 'convolve', '3x3 convolution'
        elif isinstance(module, DeformAttention):
            yield module, 'forward', 'deformable attention'
            yield module, 'sample', 'deformable sampling'
        elif isinstance(module, FFN):
            yield module, 'forward', 'feed-forward'
    yield head.set_loss, 'match', 'matching'
    yield head.set_loss, 'solve', 'Hungarian solver'


@contextlib.contextmanager
def _attribute(owner: Any, name: str, decorate: Callable[[Callable], Callable]) -> Iterator[None]:
    """Decorates a method of an object for a while."""
    own = vars(owner).get(name)
    setattr(owner, name, decorate(getattr(owner, name)))
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _hooks(encoder: nn.Module) -> Iterator[dict[int, Callable]]:
    for module in encoder.modules():
        yield module._forward_pre_hooks
        yield module._forward_hooks


@contextlib.contextmanager
def _method_hooks(
    hooks: dict[int, Callable], decorate: Callable[[Callable], Callable]
) -> Iterator[None]:
    """Decorates the hooks of a module that belong to a PEFT method."""
    own = {
        key: hook
        for key, hook in hooks.items()
        if type(getattr(hook, '__self__', None)).__module__.startswith('rein_seg.peft')
    }
    hooks.update({key: decorate(hook) for key, hook in own.items()})
    try:
        yield
    finally:
        hooks.update(own)
