"""The contract of a parameter-efficient tuning method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rein_seg.peft.arguments import checked
from rein_seg.peft.hooks import HOOKS, GridHook
from rein_seg.structures import Anatomy, OpSite, Site


class PEFTMethod(nn.Module):
    """Attaches trainable adapters to the sites of a frozen encoder.

    A method is written once, against sites: it never names an encoder or a head. Subclasses
    implement `build` (make the parameters, sizes read from the anatomy) and `connect` (hook
    functions to sites); everything else has a default.

    Attributes:
        exact_at_start: Whether the freshly attached encoder computes exactly what the frozen one
            computes.
        trains_encoder: Whether the encoder's own weights train, so that it follows ``train()``.
        query_dims: Width of the queries made for the head, or None where none are made.
        no_weight_decay: Last names of the parameters that should not decay.
        why_not_mergeable: Why `merge` is refused; None where the method implements
            `merge_into_weights`.
        replaces_parameters: Whether the method hooks PARAM sites, where a trained parameter
            replaces the encoder's own.
        reads_operations: Whether the method needs the plain output W x + b of an operation.
        hooked_sites: The sites that the attached method is hooked to, in the order of hooking.
        carries: Whether tokens travel from block to block; see `Context.carry`.
        filled_in: Constructor arguments that a segmentor fills in where the config leaves them out:
            ``num_classes``, or none.
    """

    exact_at_start: bool = True
    trains_encoder: bool = False
    query_dims: int | None = None
    no_weight_decay: tuple[str, ...] = ()
    why_not_mergeable: str | None = None
    replaces_parameters: bool = False
    reads_operations: bool = False
    carries: bool = False
    filled_in: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self._handles: list[RemovableHandle] = []
        self._hooks: list[Any] = []
        self.hooked_sites: list[Site] = []
        self._anatomy: Anatomy | None = None
        self._built = False
        self.merged = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Checks the arguments of every method, whoever builds it."""
        super().__init_subclass__(**kwargs)
        if '__init__' in vars(cls):
            cls.__init__ = checked(cls.__init__)  # type: ignore[method-assign]

    def build(self, anatomy: Anatomy) -> None:
        """Makes the adapters; called once, when the encoder's weights are already loaded."""

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks functions to sites through `hook`."""

    def attach(self, encoder: nn.Module, anatomy: Anatomy) -> None:
        """Puts the method into ``encoder``.

        Args:
            encoder: The encoder, with its final weights.
            anatomy: Its anatomy.

        Raises:
            RuntimeError: If the method is attached already.
        """
        if self._anatomy is not None:
            raise RuntimeError(f'{type(self).__name__} is attached already: detach() it first')
        # off, two blocks with unlike hooks would share one compiled graph, silently
        torch._dynamo.config.skip_nnmodule_hook_guards = False
        self._anatomy = anatomy
        if not self._built:
            self.build(anatomy)
            self._built = True
        if anatomy.grid_module is not None:
            grid = GridHook(anatomy.state)
            self._hooks.append(grid)
            self._handles.append(anatomy.grid_module.register_forward_hook(grid.on_output))
        self.connect(anatomy)

    def hook(self, site: Site, function: Callable[..., Any], **options: Any) -> None:
        """Hooks ``function`` to ``site``.

        Args:
            site: Any site.
            function: An adapter module, or a bound method of a module inside the model. OP,
                NORM: ``(input, output, context) -> output``. PARAM: ``() -> parameter`` that
                replaces the encoder's own. STREAM, BRANCH: ``(x, context) -> delta`` in the shape
                of x. SEQ: ``(x, context) -> (B, M, C)`` tokens to insert.
            **options: See `BranchHook` and `SeqHook`.
        """
        assert self._anatomy is not None, 'hook() before attach()'
        hook = HOOKS[type(site)](site, function, self._anatomy, **options)
        self._hooks.append(hook)
        self._handles += hook.register(site)
        self.hooked_sites.append(site)

    def detach(self) -> None:
        """Takes the method out; the encoder computes bit for bit what it did before.

        Raises:
            RuntimeError: If the method changed the encoder's weights (after `merge`).
        """
        if self.merged:
            raise RuntimeError(
                f'{type(self).__name__} was merged into the encoder: its weights cannot be given '
                'back; build the encoder again'
            )
        self._unhook()
        self._anatomy = None

    def trainable_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields name and parameter of all that trains; the rest of the encoder is frozen."""
        yield from self.named_parameters()

    def owned_parameters(self, anatomy: Anatomy) -> set[str]:
        """Returns the names of the encoder's parameters that train, or that others stand in for."""
        return set()

    def operations(self) -> set[str]:
        """Returns the names of the operations that the method, attached, changes the output of."""
        return {site.name for site in self.hooked_sites if isinstance(site, OpSite)}

    def decays(self, name: str) -> bool:
        """Says whether weight decay may act on the method's parameter ``name``."""
        return name.rpartition('.')[2] not in self.no_weight_decay

    def queries(self) -> Tensor | None:
        """Returns (Q, `query_dims`) object queries for the head, or None."""
        return None

    def aux_losses(self) -> dict[str, Tensor]:
        """Returns the scalar losses of the last forward pass, by name."""
        return {}

    def label_losses(self, labels: Tensor, *, ignore_index: int) -> dict[str, Tensor]:
        """Returns the scalar losses of the last forward pass that need labels, by name.

        Args:
            labels: (B, H, W) int64, one for each pixel of what the encoder saw.
            ignore_index: Label of pixels without one.
        """
        return {}

    def merge_into_weights(self) -> None:
        """Writes the effect of the hooks into the encoder's weights; called by `merge`."""
        raise NotImplementedError(
            f'{type(self).__name__} has neither merge_into_weights() nor why_not_mergeable'
        )

    def check_mergeable(self) -> None:
        """Checks that the encoder's weights can hold the method's exact effect.

        Raises:
            NotImplementedError: If they cannot, with the reason.
        """
        if self.why_not_mergeable is not None:
            name = type(self).__name__
            raise NotImplementedError(
                f'{name} cannot be merged into weights: {self.why_not_mergeable}'
            )

    def merge(self) -> None:
        """Writes the method into the encoder's weights, once, and removes the hooks.

        Raises:
            NotImplementedError: If that cannot be exact, with the reason.
            RuntimeError: If the method is merged already, or not attached.
        """
        if self.merged or self._anatomy is None:
            state = 'merged already' if self.merged else 'not attached'
            raise RuntimeError(f'{type(self).__name__} is {state}')
        self.check_mergeable()
        with torch.no_grad():
            self.merge_into_weights()
        self._unhook()
        self.merged = True

    def _unhook(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._hooks.clear()
        self.hooked_sites.clear()
