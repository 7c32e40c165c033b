"""Optimizer of the trainable parameters in few groups; autocast on CPU and GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from rein_seg.engine.layer_decay import layer_decay_of
from rein_seg.engine.two_stage import LATE
from rein_seg.errors import UserError

_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)
_HAVE_FUSED = (torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD)
_PREFIXES = ('prefix_lr_mult', 'prefix_warmup')
_OPTIONS = (
    *('custom_keys', 'norm_decay_mult', 'bias_decay_mult', 'decay_all', *_PREFIXES),
    *('layer_decay', 'late_prefixes'),
)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableOptimConstructor:
    """Builds an optimizer that holds exactly the trainable parameters.

    Parameters with the same learning rate and weight decay share a group, which the optimizer
    updates at once. mmengine's constructor makes a group for every tensor; the hyper-parameters of
    each tensor are the same here.

    Args:
        optim_wrapper_cfg: ``type``, ``optimizer`` and arguments of the wrapper.
        paramwise_cfg: ``custom_keys``, substrings of names -> ``lr_mult`` and ``decay_mult``, the
            longest key wins; ``norm_decay_mult``; ``bias_decay_mult``; and ``prefix_lr_mult``,
            starts of names -> a further factor of the learning rate, such as ``backbone.`` for the
            method; ``prefix_warmup``, starts of names -> their ``warmup`` of `WarmupCosineLR`.
            Parameters that the method exempts from decay (tokens, scales) do not decay, unless a
            custom key covers them, or ``decay_all`` is True. ``layer_decay``, a dict of ``factor``
            and ``full_blocks``, lowers the rate from block to block, see `LayerDecay`.
            ``late_prefixes`` are starts of names whose rate rises late, see `TwoStagePolyLR`.

    Raises:
        UserError: If ``paramwise_cfg`` has another key, or nothing in the model trains.
    """

    place = 'optim_wrapper'  # in the config, for messages

    def __init__(
        self, optim_wrapper_cfg: dict, paramwise_cfg: Mapping[str, Any] | None = None
    ) -> None:
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.wrapper_cfg.pop('optimizer'))
        self.paramwise = dict(paramwise_cfg or {})
        unknown = set(self.paramwise) - set(_OPTIONS)
        if unknown:
            raise UserError(
                f'{self.place}.paramwise_cfg takes {list(_OPTIONS)}, not {sorted(unknown)}'
            )

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Returns the wrapper of the optimizer of ``model``."""
        model = model.module if is_model_wrapper(model) else model
        # (learning rate, weight decay, further values of the group) -> parameters
        groups: dict[tuple[float, float, tuple], list[nn.Parameter]] = {}
        options, place = self.paramwise.get('layer_decay'), f'{self.place}.paramwise_cfg'
        layers = layer_decay_of(model, options, f'{place}.layer_decay')
        for name, param, owner in _trainable(model):
            lr, decay = self._hyper(model, name, owner)
            lr *= self._by_prefix('prefix_lr_mult', name, 1.0)
            lr *= 1.0 if layers is None else layers[param]
            groups.setdefault((lr, decay, self._further(name)), []).append(param)
        self._name_unused(model)
        if not groups:
            raise UserError('nothing in the model trains: choose a method or head with weights')
        params = [
            dict(params=p, lr=lr, weight_decay=wd, **dict(further))
            for (lr, wd, further), p in groups.items()
        ]
        for group in params:
            print_log(
                f'optimizer group: {len(group["params"])} tensors, '
                f'{sum(p.numel() for p in group["params"])} values, lr {group["lr"]:g}, '
                f'weight decay {group["weight_decay"]:g}',
                logger='current',
            )
        optimizer = OPTIMIZERS.build({**self._fused(), **self.optimizer_cfg, 'params': params})
        cfg = {'type': 'OptimWrapper', **self.wrapper_cfg, 'optimizer': optimizer}
        return OPTIM_WRAPPERS.build(cfg)

    def _name_unused(self, model: nn.Module) -> None:
        """Logs keys that are in no parameter's name: a slip would change nothing, unsaid."""
        # no warning: a protocol names parts that another method or head has
        names = [name for name, _ in model.named_parameters()]
        keys = self.paramwise.get('custom_keys', {})
        unused = [key for key in keys if not any(key in name for name in names)]
        starts = dict.fromkeys(s for key in _PREFIXES for s in self.paramwise.get(key, {}))
        starts |= dict.fromkeys(self.paramwise.get('late_prefixes', ()))
        unused += [s for s in starts if not any(name.startswith(s) for name in names)]
        if unused:
            print_log(
                f'{self.place}.paramwise_cfg: no parameter has {", ".join(map(repr, unused))} in '
                'its name, so this sets no rate',
                logger='current',
            )

    def _fused(self) -> dict[str, bool]:
        """Returns ``fused=True`` if PyTorch updates all tensors of a group in a single kernel."""
        # PyTorch refuses two of these options together, so a chosen option wins
        kind = OPTIMIZERS.get(self.optimizer_cfg['type'])
        chosen = {'foreach', 'fused', 'capturable', 'differentiable'} & set(self.optimizer_cfg)
        return dict(fused=True) if kind in _HAVE_FUSED and not chosen else {}

    def _by_prefix(self, option: str, name: str, default: Any) -> Any:
        """Returns the value of the first prefix that fits."""
        values = self.paramwise.get(option, {})
        return next((v for prefix, v in values.items() if name.startswith(prefix)), default)

    def _further(self, name: str) -> tuple[tuple[str, Any], ...]:
        """Returns the keys and values of a parameter's group that schedules read."""
        warmup = self._by_prefix('prefix_warmup', name, None)
        late = name.startswith(tuple(self.paramwise.get('late_prefixes', ())))
        return (
            *([] if warmup is None else [('warmup', warmup)]),
            *([(LATE, True)] if late else []),
        )

    def _hyper(self, model: nn.Module, name: str, owner: nn.Module) -> tuple[float, float]:
        """Returns learning rate and weight decay of a parameter."""
        lr = self.optimizer_cfg['lr']
        decay = self.optimizer_cfg.get('weight_decay', 0.0)
        # the order of mmengine's constructor: custom keys win over norms, norms over biases
        keys = sorted(self.paramwise.get('custom_keys', {}), key=len, reverse=True)
        key = next((key for key in keys if key in name), None)
        if key is not None:
            mult = self.paramwise['custom_keys'][key]
            return lr * mult.get('lr_mult', 1.0), decay * mult.get('decay_mult', 1.0)
        leaf = name.rsplit('.', 1)[-1]
        in_method, method = name.startswith('backbone.peft.'), name.removeprefix('backbone.peft.')
        all_decay = self.paramwise.get('decay_all', False)
        if in_method and not all_decay and not model.backbone.peft.decays(method):
            return lr, 0.0
        if isinstance(owner, _NORMS):
            return lr, decay * self.paramwise.get('norm_decay_mult', 1.0)
        if leaf == 'bias':
            return lr, decay * self.paramwise.get('bias_decay_mult', 1.0)
        return lr, decay


def _trainable(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, nn.Module]]:
    seen: set[int] = set()
    for path, module in model.named_modules():
        for name, param in module.named_parameters(recurse=False):
            # a shared parameter has several names; the optimizer takes it once
            if param.requires_grad and id(param) not in seen:
                seen.add(id(param))
                yield f'{path}.{name}' if path else name, param, module


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the forward pass of a training step under autocast, on CPU and GPU.

    bfloat16 has the range of float32, so the loss needs no scaling. mmengine's `AmpOptimWrapper`
    requires a GPU.

    Args:
        dtype: Name of the type for matrix products.
        **kwargs: As mmengine's `OptimWrapper`.

    Example:
        >>> import torch
        >>> from rein_seg.engine import AutocastOptimWrapper
        >>> model = torch.nn.Linear(4, 4)
        >>> wrapper = AutocastOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
        >>> with wrapper.optim_context(model):
        ...     model(torch.zeros(1, 4)).dtype
        torch.bfloat16
    """

    def __init__(self, *, dtype: str = 'bfloat16', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dtype = getattr(torch, dtype)

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enters autocast on the device of ``model``."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=self.dtype):
            yield
