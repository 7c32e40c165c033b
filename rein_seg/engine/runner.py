"""mmengine's runner with exact resume, files that are whole or absent, and strict loading."""

from __future__ import annotations

import copy
import hashlib
import logging
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
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
from mmseg.registry import DATASETS, METRICS, RUNNERS
from torch import nn
from torch.utils.data import DataLoader

from rein_seg.checkpoint import (
    IDENTITY_FORMAT,
    atomic_path,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from rein_seg.checkpoint.load import load_but_method
from rein_seg.checkpoint.strict import fitting
from rein_seg.checkpoint.write import naming
from rein_seg.datasets.sampling.stream import SeededDataset, is_stream
from rein_seg.datasets.task_datasets import views
from rein_seg.datasets.unseen import channel_metainfo
from rein_seg.engine.adversarial_optim import by_name, each_wrapper
from rein_seg.engine.console import hand_over, tidy
from rein_seg.engine.ema import RAW, TrainableEMAHook
from rein_seg.engine.finite import FiniteHook
from rein_seg.engine.histories import longest_window, shortened
from rein_seg.engine.named_parts import NamedParts
from rein_seg.engine.progress_hook import ProgressHook
from rein_seg.engine.schedules import restart_schedules, schedules_differ
from rein_seg.engine.statistics import StatisticsHook
from rein_seg.engine.training_state import check_training_state, describe_settings
from rein_seg.errors import RunFailed, UserError
from rein_seg.evaluation import OverlappingEvaluator, ScoresByDomain
from rein_seg.fast.dispatch import announcement
from rein_seg.version import __version__

_TIMES: Counter[str] = Counter()  # of the runs of this process


@RUNNERS.register_module()
class PEFTRunner(NamedParts):
    """A `Runner` for models whose state dict leaves frozen tensors out.

    A `StreamSampler` seeds the transforms of its data loader, so a resumed run reads the same
    samples as an uninterrupted run. Checkpoints are written under a temporary name and then
    renamed, read without unpickling, and loaded strictly.

    Attributes:
        training_record: Facts about the run for its checkpoints: protocol, deviations from it, rule
            for the best checkpoint.
        deviations: From the protocol; the metrics print them beside its name.
        settings: The resolved config as JSON, for the checkpoints.
        run_id: Name of the run in its checkpoints; a resumed run keeps it.
    """

    training_record: dict[str, Any] | None = None
    deviations: Sequence[str] = ()
    settings: str | None = None

    @cached_property
    def run_id(self) -> str:
        """A new name, where the run resumes none."""
        return uuid.uuid4().hex

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds the logger. Long records, such as the resolved config, go to its file only."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handleError = partial(_no_log, handler)
                hand_over(handler)
        tidy(logger)
        logger.info(announcement())
        return logger

    def setup_env(self, env_cfg: dict) -> None:
        """Sets up processes and libraries, and gives each run of a process a time of its own.

        mmengine names logger, log values and visualizer by the second: a second run in it would
        get those of the first.
        """
        super().setup_env(env_cfg)
        earlier = _TIMES[self._timestamp]
        _TIMES[self._timestamp] += 1
        if earlier:
            self._timestamp += f'_{earlier}'

    @classmethod
    def from_cfg(cls, cfg: Config) -> PEFTRunner:
        """Builds the runner of a config; see mmengine's `Runner.from_cfg`."""
        with naming(cfg.work_dir):
            return super().from_cfg(cfg)

    def train(self) -> nn.Module:
        """Trains; see mmengine's `Runner.train`."""
        self.register_hook(FiniteHook())
        self.register_hook(StatisticsHook())
        with naming(self.work_dir), self._progress():
            return super().train()

    def val(self) -> dict:
        """Validates; see mmengine's `Runner.val`."""
        with naming(self.work_dir), self._progress():
            return super().val()

    def test(self) -> dict:
        """Tests; see mmengine's `Runner.test`."""
        with naming(self.work_dir), self._progress():
            return super().test()

    @contextmanager
    def _progress(self) -> Iterator[None]:
        hook = next((hook for hook in self.hooks if isinstance(hook, ProgressHook)), None)
        if hook is None:
            hook = ProgressHook()
            self.register_hook(hook)
        try:
            yield
        finally:
            hook.close()

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
                if dataloader['sampler']['type'] == 'TaskSampler':  # its batches are of one task
                    dataloader['sampler']['batch_size'] = dataloader['batch_size']
            if dataloader.get('num_workers', 0) == 0:
                # PyTorch refuses to keep workers that do not exist
                dataloader['persistent_workers'] = False
        return Runner.build_dataloader(dataloader, seed=seed, diff_rank_seed=diff_rank_seed)

    def build_evaluator(self, evaluator: Evaluator | dict | list) -> Evaluator:
        """Builds an evaluator; with a GPU, an evaluator that measures while the model runs.

        On a CPU such a thread and the model would slow each other down by a tenth.
        """
        if isinstance(evaluator, dict) and METRICS.get(str(evaluator.get('type'))) is not None:
            # alone, a metric with an argument ``metrics`` would count as an evaluator
            evaluator = [evaluator]
        given = isinstance(evaluator, Evaluator) or 'metrics' in evaluator
        if given or get_device() == 'cpu':
            built = super().build_evaluator(evaluator)
        else:
            built = OverlappingEvaluator(evaluator)
        for metric in built.metrics:
            if isinstance(metric, ScoresByDomain):
                metric.changed = tuple(self.deviations)
                self.bare_model.keep_confidence = True  # the metric measures calibration
        return built

    def resume_from(self, path: str) -> None:
        """Has the training go on from a checkpoint."""
        self._resume, self._load_from = True, path

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Takes up the state of a checkpoint; schedules end where the config says."""
        wanted = self.cfg.get('param_scheduler')
        with fitting(f'checkpoint {filename!r}', named=True):
            super().resume(filename, *args, **kwargs)
        if wanted and schedules_differ(wanted, self.param_schedulers):
            self.param_schedulers = restart_schedules(
                lambda: self.build_param_scheduler(wanted), self.optim_wrapper, self.iter
            )
            self.logger.info(f'the schedules of the rates end elsewhere from iteration {self.iter}')

    def load_checkpoint(
        self,
        filename: str,
        map_location: Any = 'cpu',
        strict: bool = True,
        revise_keys: Any = None,
    ) -> dict:
        """Loads a training checkpoint completely and strictly, and returns it.

        With ``new_method`` the weights that a training starts from are all but the method's.

        Raises:
            UserError: If it is an adapter file, or the run to resume had another seed or averaged
                its weights and this run does not, or the file holds no whole training state.
        """
        if self.cfg.get('new_method') and not self._resume and not self._has_loaded:
            self.logger.info(load_but_method(filename, self.bare_model))
            self._has_loaded = True
            return {}
        if str(filename).endswith('.safetensors'):
            raise UserError(
                f'load_from={filename!r} is an adapter file: test it with rein-seg test; training '
                'goes on from a checkpoint (.pth)'
            )
        # on the CPU: the model copies the tensors to its own device
        checkpoint = read_checkpoint(filename, map_location='cpu')
        meta = checkpoint.get('meta', {})
        if self._resume and meta.get('seed') != self.seed:
            raise UserError(
                f'{filename}: the run to resume has seed {meta.get("seed")}, this one {self.seed}; '
                f'set --cfg-options randomness.seed={meta.get("seed")} to see the same data'
            )
        if self._resume and not self._has_loaded:
            check_training_state(checkpoint, self.optim_wrapper, source=str(filename))
            self.run_id = meta.get('run_id') or self.run_id
        averaging = any(isinstance(hook, TrainableEMAHook) for hook in self._hooks)
        if self._resume and RAW in checkpoint and not averaging:
            raise UserError(
                f'{filename}: the run to resume averages its weights, this run does not: set '
                'the same ema'
            )
        with fitting(f'checkpoint {filename!r}'):
            self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        report = load_checkpoint(checkpoint, self.bare_model, source=str(filename))
        self.logger.info(report)
        self._has_loaded = True
        return checkpoint

    def test_on(self, cfg: Config, deviations: Sequence[str] = ()) -> Any:
        """Tests the model with the data, metrics and windows of another config.

        Args:
            cfg: The config.
            deviations: From its protocol.

        Returns:
            The evaluator with the reports.
        """
        self.deviations = deviations
        # mmengine builds loader, evaluator and loop from these when the test starts
        self.bare_model.set_test_cfg(cfg.model.test_cfg)
        self._test_dataloader, self._test_evaluator = cfg.test_dataloader, cfg.test_evaluator
        self._test_loop = cfg.test_cfg
        self.test()
        return self.test_loop.evaluator

    @cached_property
    def config_text(self) -> str:
        """The resolved config as text. Cached: formatting takes seconds."""
        return self.cfg.pretty_text

    def dump_config(self) -> None:
        """Writes the resolved config into the work folder (main process)."""
        if dist.is_main_process():
            with atomic_path(
                Path(self.work_dir) / Path(self.cfg.filename or 'config.py').name
            ) as p:
                p.write_text(self.config_text)

    def _log_env(self, env_cfg: dict) -> None:
        """Logs versions, machine and config; the record is long and goes to the file only."""
        if sys.version_info >= (3, 12):
            import setuptools  # noqa: F401  collect_env needs distutils, which Python dropped

        environment = {**collect_env(), **env_cfg, 'seed': self.seed, 'launcher': self.launcher}
        lines = '\n'.join(f'    {key}: {value}' for key, value in environment.items())
        self.logger.info(f'Environment:\n{lines}\nConfig:\n{self.config_text}')

    def _classes(self) -> dict[str, Any]:
        """Returns classes and palette of the model; of several tasks those of the first."""
        data = self.train_dataloader.dataset
        _, first = next(views(data.dataset if isinstance(data, SeededDataset) else data))
        return channel_metainfo(first.metainfo, self.cfg.get('benchmark'))

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
        """Saves everything that resuming needs, under a temporary name first (main process)."""
        if not dist.is_main_process():
            return
        own = dict(
            # the number of finished epochs and iterations, as in mmengine's checkpoints
            epoch=self.epoch + 1 if by_epoch else self.epoch,
            iter=self.iter if by_epoch else self.iter + 1,
            cfg=self.config_text,
            seed=self.seed,
            experiment_name=self.experiment_name,
            rein_seg_version=__version__,
            dataset_meta=self._classes(),
            identity=self.bare_model.identity,
            identity_format=IDENTITY_FORMAT,
            training=self.training_record,
            run_id=self.run_id,
            processes=dist.get_world_size(),
            **describe_settings(self.settings),
        )
        checkpoint = dict(
            meta=own | (meta or {}),
            state_dict=weights_to_cpu(self.bare_model.state_dict()),
            message_hub=shortened(self.message_hub.state_dict(), self._log_window()),
        )
        if save_optimizer:
            states = {
                name: wrapper.state_dict()
                for name, wrapper in each_wrapper(self.optim_wrapper).items()
            }
            checkpoint['optimizer'] = states.get('', states)
            checkpoint['meta']['optimizer_states'] = sum(len(s['state']) for s in states.values())
        if save_param_scheduler and self.param_schedulers is not None:
            schedules = {
                name: [schedule.state_dict() for schedule in each]
                for name, each in by_name(self.param_schedulers).items()
            }
            checkpoint['param_schedulers'] = schedules.get('', schedules)
        self.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        save_checkpoint(Path(out_dir) / filename, checkpoint)

    def _log_window(self) -> int | None:
        loader = self._train_dataloader
        return longest_window(
            self.log_processor, epoch=len(loader) if isinstance(loader, DataLoader) else None
        )

    def trained_digest(self) -> str:
        """Returns the SHA-256 of all trained parameters.

        Raises:
            RunFailed: If parameters or buffers of the ranks differ.
        """
        params = [param for param in self.bare_model.parameters() if param.requires_grad]
        digests = [_sha256(params), _sha256(self.bare_model.buffers())]
        if any(other != digests for other in dist.all_gather_object(digests)):
            raise RunFailed('the ranks ended with different parameters or buffers')
        return digests[0]


def _sha256(tensors: Iterable[torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        # as bytes: NumPy has no bfloat16
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _no_log(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    """Ends a run whose log cannot be written; `logging` would print a traceback a line."""
    with naming(handler.baseFilename):
        raise  # noqa: PLE0704  the error that logging handles
