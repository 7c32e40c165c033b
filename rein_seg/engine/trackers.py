"""Programs that people follow their runs with: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import netrc
import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.visualization import MLflowVisBackend, WandbVisBackend
from mmseg.registry import VISBACKENDS

from rein_seg.errors import UserError, near_misses

# name -> the modules that it needs; its extra has the same name
TRACKERS = {
    'tensorboard': ('tensorboard',),
    'wandb': ('wandb',),
    # the database of its newer versions
    'mlflow': ('mlflow', 'sqlalchemy', 'alembic'),
}
_PARAMETERS = ('train_cfg', 'optim_wrapper', 'randomness')  # MLflow takes 100 values


def tracker_configs(names: Sequence[str], work_dir: str) -> list[dict[str, Any]]:
    """Returns the configs of mmengine's backends for trackers.

    Args:
        names: Keys of `TRACKERS`.
        work_dir: Folder of the run; a tracker without a server of its own writes into it.

    Raises:
        UserError: If there is no such tracker, or its extra is not installed.

    Example:
        >>> from rein_seg.engine.trackers import tracker_configs
        >>> tracker_configs([], 'work_dirs/mine')
        []
        >>> tracker_configs(['tensorbord'], 'work_dirs/mine')
        Traceback (most recent call last):
        rein_seg.errors.UserError: --track 'tensorbord': there is no such tracker; ...
    """
    return [_config(name, work_dir) for name in dict.fromkeys(names)]


def _config(name: str, work_dir: str) -> dict[str, Any]:
    if name not in TRACKERS:
        raise UserError(
            f'--track {name!r}: there is no such tracker; {near_misses(name, TRACKERS)}'
        )
    missing = [module for module in TRACKERS[name] if find_spec(module) is None]
    if missing:
        raise UserError(
            f'--track {name}: {" and ".join(missing)} cannot be imported: expected the packages of '
            f"an extra; run pip install 'rein-seg[{name}]', or leave --track out"
        )
    if name == 'mlflow':
        return dict(
            type='RunMLflowBackend',
            exp_name=Path(work_dir).name or 'rein_seg',
            # its own default, a folder of files, is an error in newer versions
            tracking_uri=os.environ.get('MLFLOW_TRACKING_URI', f'sqlite:///{work_dir}/mlflow.db'),
            artifact_location=f'{work_dir}/mlflow',
            artifact_suffix=(),  # the files of the run lie in its folder
        )
    if name == 'wandb':
        offline = {} if _wandb_login() else {'mode': 'offline'}
        if offline:
            print_log(
                'wandb: no login found (WANDB_API_KEY, or wandb login), so it writes offline, into '
                f'{work_dir}; send it later with wandb sync',
                logger='current',
            )
        init = dict(project='rein_seg', name=Path(work_dir).name or 'rein_seg', **offline)
        return dict(type='RunWandbBackend', init_kwargs=init)
    return dict(type='TensorboardVisBackend')


def _wandb_login(environment: Mapping[str, str] = os.environ) -> bool:
    """Says whether wandb need not ask: its mode is set, or it knows a key."""
    if environment.get('WANDB_MODE') or environment.get('WANDB_API_KEY'):
        return True
    try:
        found = netrc.netrc().authenticators(
            environment.get('WANDB_BASE_URL', 'https://api.wandb.ai').partition('//')[2]
        )
    except (OSError, netrc.NetrcParseError):
        return False
    return found is not None


@VISBACKENDS.register_module()
class RunWandbBackend(WandbVisBackend):
    """mmengine's backend, but it sends no Python files of the working folder."""

    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Sends the config."""
        self.experiment.config.update(config.to_dict(), allow_val_change=True)


@VISBACKENDS.register_module()
class RunMLflowBackend(MLflowVisBackend):
    """mmengine's backend, within MLflow's limits: names of numbers, parameters of a call."""

    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Sends the config as a file, and a few of its values as parameters."""
        self.cfg = config
        kept = {key: config[key] for key in _PARAMETERS if config.get(key)}
        self.experiment.log_params(self._flatten(Config(kept).to_dict()))
        self.experiment.log_text(config.pretty_text, 'config.py')

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Logs a number."""
        super().add_scalar(metric_name(name), value, step, **kwargs)

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Logs numbers."""
        named = {metric_name(name): value for name, value in scalar_dict.items()}
        super().add_scalars(named, step, file_path, **kwargs)


def metric_name(name: str) -> str:
    """Returns a name that MLflow takes.

    Example:
        >>> from rein_seg.engine.trackers import metric_name
        >>> metric_name('fog+rain/mIoU')
        'fog_rain/mIoU'
    """
    return re.sub(r'[^\w\-. :/]', '_', name)
