"""Shows how far training, validation and test are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine import dist
from mmengine.hooks import Hook

from rein_seg.progress import Meter, watched


class ProgressHook(Hook):
    """A bar for training where a person watches; validation and test also give lines in a file.

    The log lines of the training say the same in a file.
    """

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self._training: Meter | None = None
        self._loop: Meter | None = None

    def before_train(self, runner: Any) -> None:
        """Opens the bar of the training."""
        if watched():
            meter = Meter(
                runner.max_iters,
                what='train',
                unit='iterations',
                done=runner.iter,
                silent_end=True,
            )
            self._training = meter.start()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Counts an iteration."""
        if self._training is not None:
            loss = runner.message_hub.log_scalars.get('train/loss')
            note = '' if loss is None else f'loss {float(loss.current()):.3f}'
            self._training.advance(note=note)

    def after_train(self, runner: Any) -> None:
        """Closes the bar."""
        self.close()

    def before_val_epoch(self, runner: Any) -> None:
        """Puts the validation's bar in the place of the training's."""
        self._open(runner.val_dataloader, 'validate')

    def before_test_epoch(self, runner: Any) -> None:
        """Opens the bar of the test."""
        self._open(runner.test_dataloader, 'test')

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Counts the images of a batch, on all ranks."""
        meter = self._loop
        if meter is not None:
            images = len(outputs or ()) * dist.get_world_size()
            # samplers fill up the last batch
            meter.advance(min(images, (meter.total or images) - meter.done))
            if meter.done == meter.total:
                meter.close()

    after_test_iter = after_val_iter

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Closes the bar of the validation; within a training, its bar comes back."""
        training = self._training is not None
        self.close()
        if training:
            self.before_train(runner)

    after_test_epoch = after_val_epoch

    def close(self) -> None:
        """Closes all bars, also after an error."""
        for meter in (self._loop, self._training):
            if meter is not None:
                meter.close(finished=False)
        self._loop = self._training = None

    def _open(self, loader: Any, what: str) -> None:
        if self._training is not None:
            self._training.close()
        self._loop = Meter(len(loader.dataset), what=what, unit='images').start()
