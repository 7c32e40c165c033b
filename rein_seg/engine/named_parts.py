"""A runner whose errors name the part of the config that cannot be built."""

from __future__ import annotations

from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.runner import Runner

from rein_seg.building import building
from rein_seg.datasets.sampling.stream import StreamSampler
from rein_seg.errors import UserError

# where a pass over data begins -> its name
_PASSES = {
    'before_train': 'the first batch of the training',
    'before_val_epoch': 'the first batch of the validation',
    'before_test_epoch': 'the first batch of the test',
}


class NamedParts(Runner):
    """A `Runner` that names the part of its config whose building failed.

    The first batch of a training, a validation or a test counts as building: model, data and
    metric meet there for the first time.
    """

    _pass = 'the start of the run'
    _began = False

    def build_model(self, model: Any) -> Any:
        """Builds the model; see mmengine's `Runner.build_model`."""
        with building('model'):
            return super().build_model(model)

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Builds the optimizer; see mmengine's `Runner.build_optim_wrapper`."""
        with building('optim_wrapper'):
            return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Builds the schedules; see mmengine's `Runner.build_param_scheduler`."""
        with building('param_scheduler'):
            return super().build_param_scheduler(scheduler)

    def build_train_loop(self, loop: Any) -> Any:
        """Builds loop and data loader; see mmengine's `Runner.build_train_loop`."""
        with building('train_cfg or train_dataloader'):
            built = super().build_train_loop(loop)
        loader = built.dataloader
        if len(loader) == 0 and not isinstance(loader.sampler, (StreamSampler, InfiniteSampler)):
            raise UserError(
                f'train_dataloader: {len(loader.dataset)} images make no batch of '
                f'{loader.batch_size}: choose a smaller batch_size, or drop_last=False'
            )
        return built

    def build_val_loop(self, loop: Any) -> Any:
        """Builds loop, data loader and metric; see mmengine's `Runner.build_val_loop`."""
        with building('val_cfg, val_dataloader or val_evaluator'):
            return super().build_val_loop(loop)

    def build_test_loop(self, loop: Any) -> Any:
        """Builds loop, data loader and metric; see mmengine's `Runner.build_test_loop`."""
        with building('test_cfg, test_dataloader or test_evaluator'):
            return super().build_test_loop(loop)

    def build_visualizer(self, visualizer: Any = None) -> Any:
        """Builds the visualizer; see mmengine's `Runner.build_visualizer`."""
        with building('visualizer'):
            return super().build_visualizer(visualizer)

    def build_log_processor(self, log_processor: Any) -> Any:
        """Builds the processor of logs; see mmengine's `Runner.build_log_processor`."""
        with building('log_processor'):
            return super().build_log_processor(log_processor)

    def setup_env(self, env_cfg: dict) -> None:
        """Sets up processes and libraries; see mmengine's `Runner.setup_env`."""
        with building('env_cfg'):
            super().setup_env(env_cfg)

    def register_hook(self, hook: Any, priority: Any = None) -> None:
        """Registers a hook; see mmengine's `Runner.register_hook`."""
        name = hook.get('type') if isinstance(hook, dict) else type(hook).__name__
        with building(f'hook {name}'):
            super().register_hook(hook, priority)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Calls all hooks, and notes where a pass over data begins."""
        if fn_name in _PASSES:
            self._pass, self._began = _PASSES[fn_name], False
        super().call_hook(fn_name, **kwargs)
        if fn_name in ('after_train_iter', 'after_val_iter', 'after_test_iter'):
            self._began = True

    def train(self) -> Any:
        """Trains; see mmengine's `Runner.train`."""
        with self._first_batch():
            return super().train()

    def val(self) -> dict:
        """Validates; see mmengine's `Runner.val`."""
        with self._first_batch():
            return super().val()

    def test(self) -> dict:
        """Tests; see mmengine's `Runner.test`."""
        with self._first_batch():
            return super().test()

    def _first_batch(self) -> Any:
        return building(lambda: self._pass, when=lambda: not self._began)
