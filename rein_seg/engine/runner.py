"""mmengine's runner with exact resume, files that are whole or absent, and strict loading."""

from __future__ import annotations

import copy
import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import torch
from mmengine import dist
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import DATASETS, RUNNERS
from torch import nn
from torch.utils.data import DataLoader

from rein_seg.checkpoint import atomic_path, load_strict, read_checkpoint
from rein_seg.datasets.stream import SeededDataset, StreamSampler
from rein_seg.errors import UserError


@RUNNERS.register_module()
class PEFTRunner(Runner):
    """A `Runner` for models whose state dict leaves frozen tensors out.

    Data loaders with a `StreamSampler` get the seeds of their transforms from it, so a resumed run
    sees the very samples that an uninterrupted one would. Checkpoints are written under a temporary
    name and renamed, read without unpickling, and loaded strictly.
    """

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds the logger; pages such as the resolved config go to its file alone."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(is_short)
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
            if dataloader.get('sampler', {}).get('type') == StreamSampler.__name__:
                dataloader['dataset'] = SeededDataset(DATASETS.build(dataloader['dataset']))
            if dataloader.get('num_workers', 0) == 0:
                dataloader['persistent_workers'] = False
        return Runner.build_dataloader(dataloader, seed=seed, diff_rank_seed=diff_rank_seed)

    def load_checkpoint(
        self,
        filename: str,
        map_location: Any = 'cpu',
        strict: bool = True,
        revise_keys: Any = None,
    ) -> dict:
        """Loads a training checkpoint into the model, every tensor of it, and returns it."""
        checkpoint = read_checkpoint(filename, map_location='cpu')
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        report = load_strict(
            self.bare_model, checkpoint['state_dict'], what='checkpoint', source=str(filename)
        )
        self.logger.info(report)
        self._has_loaded = True
        return checkpoint

    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        """Saves under a temporary name, then renames."""
        if not dist.is_main_process():
            return
        with atomic_path(Path(out_dir) / filename) as temporary:
            super().save_checkpoint(out_dir, temporary.name, *args, **kwargs)

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


def is_short(record: logging.LogRecord) -> bool:
    """Says whether a log record fits on a terminal: 30 lines at most."""
    return record.getMessage().count('\n') <= 30


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
    """Starts the process group where mmengine cannot: on machines without a GPU (gloo)."""
    if launcher == 'none' or torch.cuda.is_available() or dist.is_distributed():
        return
    if 'RANK' not in os.environ:
        raise UserError(
            f'--launcher {launcher}: RANK is not set; start with tools/dist_train.sh or torchrun'
        )
    torch.distributed.init_process_group('gloo')
