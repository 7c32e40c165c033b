"""A frozen encoder with a tuning method in it: the only place that freezes.

B batch, H x W image, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.errors import UserError
from rein_seg.peft import PEFTMethod, build_methods
from rein_seg.structures import Anatomy, Features, StreamSite


@MODELS.register_module()
class PEFTBackbone(BaseModule):
    """Encoder + method -> `Features`.

    The encoder's weights load here, in the constructor (a runner wraps the model before it would
    call ``init_weights``, and never calls it to test); then everything is frozen; then the method
    attaches, and exactly its ``trainable_parameters()`` are switched on.

    The state dict leaves frozen tensors of the encoder out and does not miss them when loading.

    Args:
        encoder: Config of the encoder; see `build_encoder` for ``checkpoint``, ``init_seed``.
        peft: Config of the method, or a list of such configs: these methods together.
        activation_checkpointing: Computes each block again in the backward pass instead of keeping
            its activations.

    Shapes:
        (B, 3, H, W) normalised image -> `Features` with one map for each output of the encoder.
    """

    def __init__(
        self,
        encoder: Mapping[str, Any],
        peft: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        activation_checkpointing: bool = False,
        init_cfg: None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.encoder, self.encoder_info = build_encoder(encoder)
        self.anatomy: Anatomy = find_anatomy(self.encoder)
        self.peft_cfg = peft
        self.peft: PEFTMethod = build_methods(peft)
        self.peft.attach(self.encoder, self.anatomy)
        self._freeze()
        # kept, not derived again: a copy for averaging switches all gradients off
        self.frozen_names = self._find_frozen()
        if activation_checkpointing:
            _checkpoint_blocks(self.anatomy)
        self.register_state_dict_post_hook(_drop_frozen)
        self.register_load_state_dict_pre_hook(_fill_frozen)
        self.train()

    @property
    def out_channels(self) -> tuple[int, ...]:
        """C of each map."""
        return self.anatomy.out_channels

    @property
    def query_dims(self) -> int | None:
        """Width of the queries for the head, None without."""
        return self.peft.query_dims

    def forward(self, image: Tensor) -> Features:
        """Computes the features of a normalised image.

        Raises:
            UserError: If a side of the image is no multiple of what the encoder divides it into.
        """
        self.check_size(image.shape[-2:])
        # a pass that an error ended may have left tokens behind
        self.anatomy.state.num_prompts, self.anatomy.state.carried = 0, None
        maps = tuple(self.encoder(image))
        return Features(maps=maps, queries=self.peft.queries())

    def check_size(self, size: Sequence[int]) -> None:
        """Checks that the encoder takes images of this (H, W).

        Raises:
            UserError: If not; the message names the sizes that would do.
        """
        divisor = self.anatomy.divisor
        if any(side % divisor for side in size):
            nearest = tuple(max(1, round(side / divisor)) * divisor for side in size)
            raise UserError(
                f'encoder {self.encoder_info.name!r} takes images with sides that are multiples '
                f'of its patch, {divisor} pixels, not {tuple(size)} (height, width); resize or '
                f'crop to {nearest}, or test with windows that are multiples'
            )

    def train(self, mode: bool = True) -> PEFTBackbone:
        """Sets the method's mode; a frozen encoder stays in eval mode."""
        super().train(mode)
        self.encoder.train(mode and self.peft.trains_encoder)
        return self

    def init_weights(self) -> None:
        """Does nothing: the weights are those that the constructor loaded."""

    def merge(self) -> None:
        """Folds the method into the encoder; what is left is a backbone of method Frozen.

        Its encoder has other weights than `encoder_info` says: who writes them into a file says
        which.

        Raises:
            NotImplementedError: If the method cannot be folded exactly, with the reason.
        """
        self.peft.merge()
        self.peft_cfg = {'type': 'Frozen'}
        self.peft = build_methods(self.peft_cfg)
        self.peft.attach(self.encoder, self.anatomy)
        self._freeze()
        self.frozen_names = self._find_frozen()
        self.train(self.training)

    def _find_frozen(self) -> set[str]:
        """Returns the names in the encoder's state dict that training does not change.

        Buffers (batch statistics) count as trained when their own module has a trained parameter.
        """
        frozen: set[str] = set()
        for path, module in self.encoder.named_modules():
            prefix = f'{path}.' if path else ''
            own = list(module.named_parameters(recurse=False))
            frozen.update(prefix + name for name, p in own if not p.requires_grad)
            if not any(p.requires_grad for _, p in own):
                frozen.update(prefix + name for name, _ in module.named_buffers(recurse=False))
        return frozen

    def _freeze(self) -> None:
        # materialised first: a method may tell by requires_grad which of its own parameters train
        trainable = [param for _, param in self.peft.trainable_parameters() if param.requires_grad]
        for param in self.parameters():
            param.requires_grad_(False)
        for param in trainable:
            param.requires_grad_(True)


class CheckpointedCall:
    """Calls a block, hooks included, under non-reentrant activation checkpointing.

    Re-entrant checkpointing loses the gradient of adapters that pass a tensor from one hook to
    another, silently. The grid and carried tokens are handed in so that the second pass sees what
    the first one saw.
    """

    def __init__(self, block: nn.Module, anatomy: Anatomy) -> None:
        self.block = block
        self.state = anatomy.state

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the block."""
        # stopping the second pass early would leave out hooks at the exit, which take prompts out
        with set_checkpoint_early_stop(False):
            return checkpoint(
                self._run,
                self.state.grid,
                self.state.carried,
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
            self.state.recomputing = False

    def _run(self, grid: tuple[int, int], carried: Tensor | None, *args: Any, **kwargs: Any) -> Any:
        self.state.grid, self.state.carried = grid, carried
        return nn.Module._call_impl(self.block, *args, **kwargs)


def _checkpoint_blocks(anatomy: Anatomy) -> None:
    for site in anatomy.find(StreamSite, where='out'):
        block = site.taps[0].module
        block._call_impl = CheckpointedCall(block, anatomy)  # type: ignore[method-assign]


def _drop_frozen(
    module: PEFTBackbone, state: dict[str, Tensor], prefix: str, metadata: dict
) -> None:
    for name in module.frozen_names:
        state.pop(f'{prefix}encoder.{name}', None)


def _fill_frozen(module: PEFTBackbone, state: dict[str, Tensor], prefix: str, *args: Any) -> None:
    own = module.encoder.state_dict()
    for name in module.frozen_names & set(own):
        state.setdefault(f'{prefix}encoder.{name}', own[name])
