"""mmengine's runner with exact resume, files that are whole or absent, and strict loading."""

from __future__ import annotations

import copy
import hashlib
import logging
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from mmengine import dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.checkpoint import weights_to_cpu
from mmengine.utils.dl_utils import collect_env
from mmseg.registry import DATASETS, RUNNERS
from torch import nn
from torch.utils.data import DataLoader

from rein_seg.checkpoint import (
    IDENTITY_FORMAT,
    atomic_path,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from rein_seg.datasets.sampling.stream import SeededDataset, is_stream
from rein_seg.engine.ema import RAW, TrainableEMAHook
from rein_seg.errors import UserError
from rein_seg.evaluation import OverlappingEvaluator
from rein_seg.version import __version__


@RUNNERS.register_module()
class PEFTRunner(Runner):
    """A `Runner` for models whose state dict leaves frozen tensors out.

    Data loaders with a `StreamSampler` get the seeds of their transforms from it, so a resumed run
    sees the very samples that an uninterrupted one would. Checkpoints are written under a temporary
    name and renamed, read without unpickling, and loaded strictly.

    Attributes:
        training_record: What a training run's files say of it: protocol, changes, checkpoint rule.
    """

    training_record: Mapping[str, Any] | None = None

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds the logger; pages such as the resolved config go to its file alone."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(worth_showing)
        return logger

    @property
    def bare_model(self) -> nn.Module:
        """The segmentor without its distributed wrapper."""
        return self.model.module if is_model_wrapper(self.model) else self.model

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Builds a loader; see mmengine's `Runner.build_dataloader`."""
        if isinstance(dataloader, dict):
            dataloader = copy.deepcopy(dataloader)
            if is_stream(dataloader.get('sampler')):
                dataloader['dataset'] = SeededDataset(DATASETS.build(dataloader['dataset']))
            if dataloader.get('num_workers', 0) == 0:
                dataloader['persistent_workers'] = False
        return Runner.build_dataloader(dataloader, seed=seed, diff_rank_seed=diff_rank_seed)

    def build_evaluator(self, evaluator: Evaluator | dict | list) -> Evaluator:
        """Builds an evaluator; beside a GPU one that measures while the model goes on.

        On a CPU a thread beside the model's own slows both down by a tenth.
        """
        given = isinstance(evaluator, Evaluator) or 'metrics' in evaluator
        if given or get_device() == 'cpu':
            return super().build_evaluator(evaluator)
        return OverlappingEvaluator(evaluator)

    def load_checkpoint(
        self,
        filename: str,
        map_location: Any = 'cpu',
        strict: bool = True,
        revise_keys: Any = None,
    ) -> dict:
        """Loads a training checkpoint into the model, every tensor of it, and returns it."""
        if str(filename).endswith('.safetensors'):
            raise UserError(
                f'load_from={filename!r} is an adapter file: test it with tools/test.py; training '
                'goes on from a checkpoint (.pth)'
            )
        checkpoint = read_checkpoint(filename, map_location='cpu')
        meta = checkpoint.get('meta', {})
        if self._resume and meta.get('seed') != self.seed:
            raise UserError(
                f'{filename}: the run to resume has seed {meta.get("seed")}, this one {self.seed}; '
                f'set --cfg-options randomness.seed={meta.get("seed")} to see the same data'
            )
        averaging = any(isinstance(hook, TrainableEMAHook) for hook in self._hooks)
        if self._resume and RAW in checkpoint and not averaging:
            raise UserError(
                f'{filename}: the run to resume averages its weights, this one does not; give it '
                'the ema that it was begun with'
            )
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        report = load_checkpoint(checkpoint, self.bare_model, source=str(filename))
        self.logger.info(report)
        self._has_loaded = True
        return checkpoint

    def test_on(self, cfg: Config) -> Any:
        """Tests the model as another config says: its data, metrics and windows.

        Returns:
            The evaluator, which holds the reports.
        """
        self.bare_model.set_test_cfg(cfg.model.test_cfg)
        self._test_dataloader, self._test_evaluator = cfg.test_dataloader, cfg.test_evaluator
        self._test_loop = cfg.test_cfg
        self.test()
        return self.test_loop.evaluator

    @cached_property
    def config_text(self) -> str:
        """The resolved config; formatting it takes seconds, so not again for every checkpoint."""
        return self.cfg.pretty_text

    def dump_config(self) -> None:
        """Writes the resolved config into the work folder; on the main process."""
        if dist.is_main_process():
            with atomic_path(
                Path(self.work_dir) / Path(self.cfg.filename or 'config.py').name
            ) as p:
                p.write_text(self.config_text)

    def _log_env(self, env_cfg: dict) -> None:
        """Logs versions, machine and config (into the log file: they are long)."""
        environment = {**collect_env(), **env_cfg, 'seed': self.seed, 'launcher': self.launcher}
        lines = '\n'.join(f'    {key}: {value}' for key, value in environment.items())
        self.logger.info(f'Environment:\n{lines}\nConfig:\n{self.config_text}')

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: None = None,
        *,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = True,
        **unused: Any,
    ) -> None:
        """Saves what resuming needs, under a temporary name, then renames; on the main process."""
        if not dist.is_main_process():
            return
        own = dict(
            epoch=self.epoch + 1 if by_epoch else self.epoch,
            iter=self.iter if by_epoch else self.iter + 1,
            cfg=self.config_text,
            seed=self.seed,
            experiment_name=self.experiment_name,
            rein_seg_version=__version__,
            dataset_meta=self.train_dataloader.dataset.metainfo,
            identity=self.bare_model.identity,
            identity_format=IDENTITY_FORMAT,
            training=self.training_record,
        )
        checkpoint = dict(
            meta=own | (meta or {}),
            state_dict=weights_to_cpu(self.bare_model.state_dict()),
            message_hub=self.message_hub.state_dict(),
        )
        if save_optimizer:
            checkpoint['optimizer'] = self.optim_wrapper.state_dict()
        if save_param_scheduler and self.param_schedulers is not None:
            checkpoint['param_schedulers'] = [s.state_dict() for s in self.param_schedulers]
        self.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        save_checkpoint(Path(out_dir) / filename, checkpoint)

    def trained_digest(self) -> str:
        """Returns a SHA-256 of all trained tensors, after checking that every rank has the same.

        Raises:
            RuntimeError: If the ranks' parameters differ.
        """
        digest = hashlib.sha256()
        for param in self.bare_model.parameters():
            if param.requires_grad:
                digest.update(param.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        digests = dist.all_gather_object(digest.hexdigest())
        if len(set(digests)) != 1:
            raise RuntimeError(f'the ranks ended with different parameters: {digests}')
        return digests[0]


def worth_showing(record: logging.LogRecord) -> bool:
    """Says whether a log record belongs on a terminal: short, and not about mmengine's own past."""
    message = record.getMessage()
    return message.count('\n') < 60 and not message.startswith(('"FileClient"', '"HardDisk'))


def latest_checkpoint(work_dir: str) -> str:
    """Returns the newest complete checkpoint of a run.

    Raises:
        UserError: If there is none.
    """
    found = sorted(Path(work_dir).glob('iter_*.pth'), key=_iteration, reverse=True)
    if not found:
        raise UserError(
            f'--resume: {work_dir!r} holds no checkpoint (iter_*.pth) to go on from; start without '
            '--resume, or name the run with --work-dir'
        )
    return str(found[0])


def _iteration(path: Path) -> int:
    digits = path.stem.removeprefix('iter_')
    return int(digits) if digits.isdigit() else -1


def setup_distributed(launcher: str) -> None:
    """Starts the process group, so that the checks before a run share their work: NCCL or gloo.

    mmengine starts it later, in the runner, and not at all without a GPU.
    """
    if launcher == 'none' or dist.is_distributed():
        return
    if 'RANK' not in os.environ:
        raise UserError(
            f'--launcher {launcher}: RANK is not set; start with tools/dist_train.sh or torchrun'
        )
    if torch.cuda.is_available():
        dist.init_dist(launcher)
    else:
        torch.distributed.init_process_group('gloo')
