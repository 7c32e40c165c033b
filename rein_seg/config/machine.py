"""Sets the words of a config that depend on the machine and on how a command was started."""

from __future__ import annotations

from mmengine import dist
from mmengine.config import Config

from rein_seg.config.request import Request


def set_machine(cfg: Config, request: Request) -> None:
    """Sets launcher, distributed wrapper and autocast, in place."""
    if request.launcher is not None:
        cfg.launcher = request.launcher
    if request.launcher == 'pytorch' and dist.get_backend() == 'gloo':
        wrapper = cfg.get('model_wrapper_cfg') or dict(type='MMDistributedDataParallel')
        cfg.model_wrapper_cfg = {**wrapper, 'device_ids': None}
    if request.amp:
        cfg.optim_wrapper = {**cfg.optim_wrapper, 'type': 'AutocastOptimWrapper'}
        hooks = [hook for hook in cfg.get('custom_hooks') or [] if hook['type'] != 'AutocastHook']
        cfg.custom_hooks = [*hooks, dict(type='AutocastHook')]
