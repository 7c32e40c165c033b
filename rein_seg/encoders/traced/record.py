"""Records one forward pass: every call of a module, every function of tensors, and their values.

A value is a tensor at one time: a function that works in place makes a new value of the same
tensor. B batch, C channels, H x W grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@dataclass
class Value:
    """A tensor at one time; ``op`` is the function that made it, -1 for what came from outside."""

    tensor: Tensor
    op: int = -1


@dataclass
class Op:
    """One call of a function of tensors.

    Attributes:
        name: Of the function, without a leading or trailing underscore.
        inputs: Values among its arguments, parameters left out.
        params: Names of the parameters among its arguments.
        outputs: Values that it made.
        call: The innermost running call of a module.
        args: Its arguments; tensors are replaced by None.
        operands: Its leading positional arguments as values; None for others.
    """

    name: str
    inputs: tuple[int, ...]
    params: tuple[str, ...]
    outputs: tuple[int, ...]
    call: int
    args: tuple[Any, ...]
    operands: tuple[int | None, ...]


@dataclass
class Call:
    """One call of a module.

    Attributes:
        name: Of the module; '' for the network.
        module: The module.
        parent: The call that it runs in, -1 for the network's.
        start: First function that runs in it.
        stop: First function that runs behind it.
        inputs: Values among its arguments, in order; None for other positional arguments.
        others: Its further arguments, with values left out.
        output: The value that it returns; None if it returns anything but one tensor.
        outputs: The values that it returns, if it returns a list or tuple of tensors.
    """

    name: str
    module: nn.Module
    parent: int
    start: int
    stop: int = -1
    inputs: tuple[int | None, ...] = ()
    others: tuple[Any, ...] = ()
    output: int | None = None
    outputs: tuple[int, ...] = ()


@dataclass
class Record:
    """What `record` noted, in the order of the pass.

    Attributes:
        values: Tensors.
        ops: Functions.
        calls: Calls of modules.
        image: Value of the image.
        outputs: Values that the network returned.
        weights: Shape of each parameter.
    """

    values: list[Value] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    image: int = -1
    outputs: tuple[int, ...] = ()
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def tensor(self, value: int) -> Tensor:
        """Returns the tensor of a value; see `Value`."""
        return self.values[value].tensor

    def shape(self, value: int) -> tuple[int, ...]:
        """Returns the shape of a value."""
        return tuple(self.values[value].tensor.shape)

    def maker(self, value: int) -> Op | None:
        """Returns the function that made a value; None for one from outside."""
        op = self.values[value].op
        return None if op < 0 else self.ops[op]

    def inside(self, call: int, outer: int) -> bool:
        """Returns whether a call is ``outer`` or runs in it."""
        while call >= 0 and call != outer:
            call = self.calls[call].parent
        return call == outer


def record(network: nn.Module, image: Tensor) -> Record:
    """Runs a network in eval mode once and returns the record of the pass.

    Modes of modules are restored, nothing of the pass stays in the network.

    Args:
        network: Returns a tensor, or a sequence of tensors.
        image: (B, 3, H, W).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from rein_seg.encoders.traced import record
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        >>> found = record(network, torch.zeros(1, 3, 8, 8))
        >>> [(op.name, op.params) for op in found.ops]
        [('conv2d', ('0.weight', '0.bias')), ('relu', ())]
        >>> [call.name for call in found.calls]
        ['', '0', '1']
    """
    recorder = _Recorder(network)
    recorder.record.image = recorder.add(image)
    recorder.record.weights = {n: tuple(p.shape) for n, p in network.named_parameters()}
    modes = {module: module.training for module in network.modules()}
    hooks = [
        handle
        for name, module in network.named_modules()
        for handle in recorder.register(name, module)
    ]
    try:
        with recorder.modes_of(modes), torch.enable_grad(), recorder:
            outputs = network(image)
    finally:
        for handle in hooks:
            handle.remove()
    outputs = [outputs] if isinstance(outputs, Tensor) else outputs
    recorder.record.outputs = tuple(recorder.value(tensor) for tensor in outputs)
    return recorder.record


class _Recorder(TorchFunctionMode):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.record = Record()
        self.params = {id(param): name for name, param in network.named_parameters()}
        self.current: dict[int, int] = {}  # id of a tensor -> its value; values keep tensors alive
        self.stack = [-1]

    @staticmethod
    @contextmanager
    def modes_of(modes: Mapping[nn.Module, bool]) -> Iterator[None]:
        """Has all modules in eval mode inside it."""
        for module in modes:
            module.training = False
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode

    def add(self, tensor: Tensor, op: int = -1) -> int:
        self.record.values.append(Value(tensor, op))
        self.current[id(tensor)] = len(self.record.values) - 1
        return self.current[id(tensor)]

    def value(self, tensor: Tensor) -> int:
        found = self.current.get(id(tensor))
        return self.add(tensor) if found is None else found

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = list(_tensors((args, kwargs)))
        inputs = tuple(self.value(t) for t in given if id(t) not in self.params)
        operands = tuple(self._operand(arg) for arg in args)
        result = func(*args, **kwargs)
        made = list(_tensors(result))
        if made and given:
            number = len(self.record.ops)
            name = getattr(func, '__name__', str(func)).strip('_')
            params = tuple(self.params[id(t)] for t in given if id(t) in self.params)
            # a function that changed nothing, such as contiguous(), returns its own input
            own = given if name in _UNCHANGED else []
            new = [t for t in made if not any(t is mine for mine in own)]
            if new or params:
                self.record.ops.append(
                    Op(name, inputs, params, (), self.stack[-1], _plain((args, kwargs)), operands)
                )
                self.record.ops[-1].outputs = tuple(self.add(t, number) for t in new)
        return result

    def _operand(self, arg: Any) -> int | None:
        known = isinstance(arg, Tensor) and id(arg) not in self.params
        return self.value(arg) if known else None

    def register(self, name: str, module: nn.Module) -> list[Any]:
        def enter(module: nn.Module, args: tuple, kwargs: dict) -> None:
            with torch._C.DisableTorchFunction():
                call = Call(name, module, self.stack[-1], len(self.record.ops))
                call.inputs = tuple(self._operand(arg) for arg in args)
                call.others = _plain((args, kwargs))
                self.stack.append(len(self.record.calls))
                self.record.calls.append(call)

        def leave(module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
            with torch._C.DisableTorchFunction():
                call = self.record.calls[self.stack.pop()]
                if isinstance(output, Tensor):
                    call.output = self._returned(output, call)
                elif isinstance(output, (list, tuple)):
                    call.outputs = tuple(self.value(t) for t in output if isinstance(t, Tensor))
                call.stop = len(self.record.ops)

        return [
            module.register_forward_pre_hook(enter, with_kwargs=True),
            module.register_forward_hook(leave, with_kwargs=True),
        ]

    def _returned(self, output: Tensor, call: Call) -> int:
        """Returns the value of an output; scripted code makes it unseen, from the call's inputs."""
        if id(output) in self.current:
            return self.current[id(output)]
        inputs = tuple(value for value in call.inputs if value is not None)
        self.record.ops.append(Op('unseen', inputs, (), (), self.stack[-1], (), call.inputs))
        value = self.add(output, len(self.record.ops) - 1)
        self.record.ops[-1].outputs = (value,)
        return value


# functions that may return their own input as it is
_UNCHANGED = ('contiguous', 'to', 'float', 'dropout', 'requires_grad', 'type', 'expand_as')


def _tensors(found: Any) -> Iterator[Tensor]:
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, (list, tuple)):
        for part in found:
            yield from _tensors(part)
    elif isinstance(found, dict):
        yield from _tensors(list(found.values()))


def _plain(found: Any) -> Any:
    if isinstance(found, Tensor):
        return None
    if isinstance(found, (list, tuple)):
        return tuple(_plain(part) for part in found)
    return {k: _plain(v) for k, v in found.items()} if isinstance(found, dict) else found
