"""Saves checkpoints so that a run can be killed at any moment and go on."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmengine import dist
from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmseg.registry import HOOKS

from rein_seg.checkpoint import atomic_path
from rein_seg.engine.hooks import MORE_IS_BETTER
from rein_seg.errors import UserError, near_misses


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """mmengine's hook, with files that a killed run can go on from.

    - A new file is written before the file it replaces is removed.
    - With accumulated gradients a checkpoint waits for the end of the optimizer step.
    - A validation that was killed, or that a signal stopped, is done again after resuming, so that
      the same checkpoint is the best.
    - The best checkpoint is looked for in the folder of the run, wherever the folder was before.
    - A score that a validation leaves undefined, such as a distance to an organ that nothing
      predicts yet, chooses no checkpoint.

    Raises:
        UserError: If ``save_best`` names no score of the validation.
    """

    _due = False
    _default_greater_keys: ClassVar = [*_CheckpointHook._default_greater_keys, *MORE_IS_BETTER]

    def before_train(self, runner: Any) -> None:
        """Finds the best checkpoint of a resumed run."""
        super().before_train(runner)
        # of several metrics: never a file elsewhere, which a better score would remove
        several = getattr(self, 'best_ckpt_path_dict', {})
        for key, path in several.items():
            mine = Path(self.out_dir) / Path(path or '').name
            several[key] = str(mine) if mine.is_file() else None
        best = getattr(self, 'best_ckpt_path', None)
        if best is None:
            return
        here = Path(self.out_dir) / Path(best).name
        if here.is_file():
            self.best_ckpt_path = str(here)
            runner.message_hub.update_info('best_ckpt', str(here))
            return
        self.best_ckpt_path = None
        for key in ('best_ckpt', 'best_score'):
            runner.message_hub.pop_info(key)
        text = f'the best checkpoint is chosen after iteration {runner.iter}: {here.name} is gone'
        runner.logger.warning(text)
        if runner.training_record is not None:
            runner.training_record['changed'].append(text)

    def before_train_epoch(self, runner: Any) -> None:
        """Repeats the validation of a resumed run that had not ended when the run was killed."""
        if not self.save_best or runner.iter <= runner.message_hub.runtime_info.get('validated', 0):
            return
        loop = runner.train_loop
        last = runner.iter >= loop.max_iters
        if runner.iter >= loop.val_begin and (last or runner.iter % loop.val_interval == 0):
            runner.val_loop.run()

    def after_train_iter(self, runner: Any, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Saves when the interval is over and the optimizer's step is whole."""
        last = self.save_last and self.is_last_train_iter(runner)
        self._due |= self.every_n_train_iters(runner, self.interval, self.save_begin) or last
        if self._due and not self.by_epoch and runner.optim_wrapper.should_update():
            self._due = False
            runner.logger.info(f'Saving checkpoint at {runner.iter + 1} iterations')
            self._save_checkpoint(runner)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float]) -> None:
        """Keeps the best checkpoint."""
        if not self.save_best:
            return
        runner.message_hub.update_info('validated', runner.iter)
        parts = runner.val_loop.evaluator.metrics
        columns = {column for one in parts for column in getattr(one, 'columns', ())}
        undefined = _undefined(self.key_indicators, metrics, columns)
        with self._removing_afterwards():
            super().after_val_epoch(runner, {**metrics, **undefined})

    def save_now(self, runner: Any, iteration: int) -> str:
        """Saves the state after ``iteration`` iterations unless that is done; returns the path."""
        path = Path(self.out_dir) / self.filename_tmpl.format(iteration)
        if self.last_ckpt != str(path) or not path.is_file():
            meta = dict(epoch=runner.epoch, iter=iteration)
            self._save_checkpoint_with_step(runner, iteration, meta)
        return str(path)

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        outdated = self._keep(step)
        if self.max_keep_ckpts > 0:
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = str(Path(self.out_dir) / name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
        )
        if dist.is_main_process():
            with atomic_path(Path(runner.work_dir) / 'last_checkpoint') as temporary:
                temporary.write_text(self.last_ckpt)
            for old in outdated:
                (Path(self.out_dir) / self.filename_tmpl.format(old)).unlink(missing_ok=True)

    def _keep(self, step: int) -> list[int]:
        """Adds a checkpoint to the kept ones; returns the iterations of those to remove."""
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return []
        full = len(self.keep_ckpt_ids) == self.max_keep_ckpts
        outdated = [self.keep_ckpt_ids.popleft()] if full else []
        self.keep_ckpt_ids.append(step)
        return outdated

    @contextlib.contextmanager
    def _removing_afterwards(self) -> Iterator[None]:
        """Delays the removal of files in the block to its end."""
        backend, self.file_backend = self.file_backend, _LateRemoval(self.file_backend)
        try:
            yield
            for path in self.file_backend.outdated:
                if path != getattr(self, 'best_ckpt_path', None):
                    backend.remove(path)
        finally:
            self.file_backend = backend


class _LateRemoval:
    """A file backend that lists files instead of removing them."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.outdated: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.outdated.append(path)


def _undefined(
    keys: Sequence[str], metrics: Mapping[str, float], columns: Collection[str]
) -> dict[str, None]:
    """Returns the keys without a score in a validation, after checking that they can have one."""
    undefined = [key for key in keys if key not in metrics and key != 'auto']
    domains = {key.partition('/')[0] for key in metrics}
    for key in undefined:
        if key.partition('/')[0] not in domains or key.rpartition('/')[2] not in columns:
            raise UserError(
                f'default_hooks.checkpoint.save_best={key!r}: expected a score of the validation; '
                f'{near_misses(key, metrics)}'
            )
    return dict.fromkeys(undefined)
