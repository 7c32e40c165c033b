"""Optimizer over exactly what trains, in few groups; autocast on CPU and GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from rein_seg.errors import UserError

_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)
_HAVE_FUSED = (torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD)
_OPTIONS = ('custom_keys', 'norm_decay_mult', 'bias_decay_mult', 'prefix_lr_mult')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableOptimConstructor:
    """Builds an optimizer that holds exactly the parameters that train.

    Parameters with the same learning rate and weight decay share a group, so that the optimizer
    updates them together: the hyper-parameters of each tensor are those of mmengine's constructor,
    which makes a group for every tensor.

    Args:
        optim_wrapper_cfg: ``type``, ``optimizer`` and arguments of the wrapper.
        paramwise_cfg: ``custom_keys``, substrings of names -> ``lr_mult`` and ``decay_mult``, the
            longest key wins; ``norm_decay_mult``; ``bias_decay_mult``. What the method says should
            not decay (tokens, scales) does not, unless a custom key covers it. ``prefix_lr_mult``,
            starts of names -> factor of the rate alone, beside all of these: ``backbone.`` is what
            trains in the encoder, the method's.
    """

    def __init__(
        self, optim_wrapper_cfg: dict, paramwise_cfg: Mapping[str, Any] | None = None
    ) -> None:
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.wrapper_cfg.pop('optimizer'))
        self.paramwise = dict(paramwise_cfg or {})
        unknown = set(self.paramwise) - set(_OPTIONS)
        if unknown:
            raise UserError(
                f'optim_wrapper.paramwise_cfg takes {list(_OPTIONS)}, not {sorted(unknown)}'
            )

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Returns the wrapper of the optimizer of ``model``."""
        model = getattr(model, 'module', model)
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, param, owner in _trainable(model):
            lr, decay = self._hyper(model, name, owner)
            groups.setdefault((lr * self._factor(name), decay), []).append(param)
        if not groups:
            raise UserError('nothing in the model trains: choose a method or head with weights')
        params = [dict(params=p, lr=lr, weight_decay=wd) for (lr, wd), p in groups.items()]
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

    def _fused(self) -> dict[str, bool]:
        """Returns ``fused=True`` where PyTorch has one kernel for all tensors of a group."""
        kind = OPTIMIZERS.get(self.optimizer_cfg['type'])
        chosen = {'foreach', 'fused', 'capturable', 'differentiable'} & set(self.optimizer_cfg)
        return dict(fused=True) if kind in _HAVE_FUSED and not chosen else {}

    def _factor(self, name: str) -> float:
        """Returns the factor of the rate of the first prefix that fits."""
        factors = self.paramwise.get('prefix_lr_mult', {})
        return next((f for prefix, f in factors.items() if name.startswith(prefix)), 1.0)

    def _hyper(self, model: nn.Module, name: str, owner: nn.Module) -> tuple[float, float]:
        """Returns (learning rate, weight decay) of one parameter."""
        lr = self.optimizer_cfg['lr']
        decay = self.optimizer_cfg.get('weight_decay', 0.0)
        keys = sorted(self.paramwise.get('custom_keys', {}), key=len, reverse=True)
        key = next((key for key in keys if key in name), None)
        if key is not None:
            mult = self.paramwise['custom_keys'][key]
            return lr * mult.get('lr_mult', 1.0), decay * mult.get('decay_mult', 1.0)
        leaf = name.rsplit('.', 1)[-1]
        in_method, method = name.startswith('backbone.peft.'), name.removeprefix('backbone.peft.')
        if in_method and not model.backbone.peft.decays(method):
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
            if param.requires_grad and id(param) not in seen:
                seen.add(id(param))
                yield f'{path}.{name}' if path else name, param, module


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the forward pass of a training step under autocast, on CPU and GPU.

    bfloat16 has the range of float32, so no loss scaling is needed. mmengine's `AmpOptimWrapper`
    refuses to run without a GPU.

    Args:
        dtype: Name of the type of matrix products.
        **kwargs: As mmengine's `OptimWrapper`.
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
