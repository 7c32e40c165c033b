"""Activation checkpointing of an encoder's blocks, with the hooks in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from rein_seg.structures import Anatomy, JoinedPass, StreamSite


class CheckpointedCall:
    """Calls a block, hooks included, under non-reentrant activation checkpointing.

    Re-entrant checkpointing silently loses the gradient of adapters that pass a tensor from hook to
    hook. Grid, carried tokens, prepared tensors and joined queries are arguments, so that the
    second pass sees the same values as the first.
    """

    def __init__(self, block: nn.Module, anatomy: Anatomy) -> None:
        self.block = block
        self.state = anatomy.state

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the block."""
        # a second pass that stops early would skip the exit hooks, which remove prompts
        with set_checkpoint_early_stop(False):
            return checkpoint(
                self._run,
                self.state.grid,
                self.state.carried,
                self.state.prepared,
                self.state.joined,
                *args,
                use_reentrant=False,
                context_fn=self._passes,
                **kwargs,
            )

    def _passes(self) -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), self._second_pass()

    @contextmanager
    def _second_pass(self) -> Iterator[None]:
        self.state.recomputing = True
        try:
            yield
        finally:
            self.state.recomputing, self.state.prepared, self.state.joined = False, {}, None

    def _run(
        self,
        grid: tuple[int, int],
        carried: Tensor | None,
        prepared: dict[Any, Any],
        joined: JoinedPass | None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        self.state.grid, self.state.carried = grid, carried
        self.state.prepared, self.state.joined = prepared, joined
        return nn.Module._call_impl(self.block, *args, **kwargs)


def checkpoint_blocks(anatomy: Anatomy) -> None:
    """Has every block of an encoder computed again in the backward pass.

    Args:
        anatomy: Of the encoder.
    """
    for site in anatomy.find(StreamSite, where='out'):
        block = site.taps[0].module
        block._call_impl = CheckpointedCall(block, anatomy)  # type: ignore[method-assign]
