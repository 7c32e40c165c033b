"""The contract of a parameter-efficient tuning method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from rein_seg.peft.arguments import checked
from rein_seg.peft.hooks import HOOKS, GridHook
from rein_seg.structures import Anatomy, Features, OpSite, Site, Undo


class PEFTMethod(nn.Module):
    """Attaches trainable adapters to the sites of a frozen encoder.

    A method is written once, against sites: it never names an encoder or a head. Subclasses
    implement `build` (make the parameters, with sizes from the anatomy) and `connect` (hook
    functions to sites); `LayerMethod` does both for a layer per site. Everything else has a
    default. Arguments are checked against the annotations of ``__init__``; see `checked`.

    Attributes:
        exact_at_start: Whether the freshly attached encoder gives exactly the output of the frozen
            encoder.
        trains_encoder: Whether the encoder's own weights train, so that it follows ``train()``.
        query_dims: Width of the queries for the head; None if the method makes none.
        no_weight_decay: Last names of the parameters without weight decay.
        why_not_mergeable: Why `merge` is refused; None where the method implements
            `merge_into_weights`.
        replaces_parameters: Whether the method hooks PARAM sites, where a trained parameter
            replaces the encoder's own.
        reads_operations: Whether the method needs the plain output W x + b of an operation.
        hooked_sites: The sites that the attached method is hooked to, in the order of hooking.
        carries: Whether tokens travel from block to block; see `Context.carry`.
        looks_first: Whether the frozen encoder runs alone first, on the image as it came, and
            `prepare` gets its features.
        reads_text: Whether `prepare` reads the embeddings of the classes, learned and fixed.
        moves_pixels: Whether `prepare` moves the content of the image to other places, so that the
            labels of pixels do not fit any longer.
        filled_in: Constructor arguments that the model fills in where the config leaves them out:
            ``num_classes``, or none.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> from rein_seg.peft import BitFit
        >>> encoder, _ = build_encoder(dict(type='TinyViT', init_seed=0))
        >>> method = BitFit(targets=['norm'], blocks=[0])
        >>> method.attach(encoder, find_anatomy(encoder))
        >>> [(name, tuple(p.shape)) for name, p in method.trainable_parameters()]
        [('params.layers_0_ln1_weight.value', (192,)), ('params.layers_0_ln2_weight.value', (192,))]
        >>> method.detach()
    """

    exact_at_start: bool = True
    trains_encoder: bool = False
    query_dims: int | None = None
    no_weight_decay: tuple[str, ...] = ()
    why_not_mergeable: str | None = None
    replaces_parameters: bool = False
    reads_operations: bool = False
    carries: bool = False
    looks_first: bool = False
    reads_text: bool = False
    moves_pixels: bool = False
    filled_in: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self._handles: list[Undo] = []
        self._hooks: list[Any] = []
        self.hooked_sites: list[Site] = []
        self._functions: list[Callable[..., Any]] = []  # of the hooked sites
        self._anatomy: Anatomy | None = None
        self._built = False  # stays True after detach(): attaching again keeps trained values
        self.merged = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Checks the arguments of every method, whoever builds it."""
        super().__init_subclass__(**kwargs)
        if '__init__' in vars(cls):
            cls.__init__ = checked(cls.__init__)  # type: ignore[method-assign]

    def build(self, anatomy: Anatomy) -> None:
        """Makes the adapters; called once, after the encoder has loaded its weights."""

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks functions to sites through `hook`."""

    def attach(self, encoder: nn.Module, anatomy: Anatomy) -> None:
        """Hooks the method into ``encoder``.

        Args:
            encoder: The encoder, with its final weights.
            anatomy: Its anatomy.

        Raises:
            RuntimeError: If the method is attached already.
        """
        if self._anatomy is not None:
            raise RuntimeError(f'{type(self).__name__} is attached already: detach() it first')
        # otherwise two blocks with different hooks would silently share one compiled graph
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
                of x. SEQ: ``(x, context) -> (B, M, C)`` tokens to insert. JOINT:
                ``(x, context) -> x``.
            **options: See `BranchHook` and `SeqHook`.
        """
        assert self._anatomy is not None, 'hook() before attach()'
        hook = HOOKS[type(site)](site, function, self._anatomy, **options)
        self._hooks.append(hook)
        self._handles += hook.register(site)
        self.hooked_sites.append(site)
        self._functions.append(function)

    def detach(self) -> None:
        """Removes all hooks; the encoder's output is again the original, bit for bit.

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
        """Returns the names of the encoder's parameters that the method trains or replaces."""
        return set()

    def still_modules(self, encoder: nn.Module) -> list[nn.Module]:
        """Returns the modules of an encoder that trains which stay in eval mode all the same."""
        return []

    def operations(self) -> set[str]:
        """Returns the names of the operations whose output the attached method changes."""
        return {site.name for site in self.hooked_sites if isinstance(site, OpSite)}

    def placed_parameters(self) -> Iterator[tuple[nn.Parameter, Site]]:
        """Yields the parameters of each hooked module, and the site that it is hooked to."""
        for site, function in zip(self.hooked_sites, self._functions, strict=True):
            owner = getattr(function, '__self__', function)  # of a bound method
            if isinstance(owner, nn.Module):
                yield from ((param, site) for param in owner.parameters())

    def decays(self, name: str) -> bool:
        """Says whether weight decay may act on the method's parameter ``name``."""
        return name.rpartition('.')[2] not in self.no_weight_decay

    def prepare(self, image: Tensor, first: Features) -> Tensor:
        """Takes what the method needs of a first pass, and returns the image for the pass proper.

        Only called with ``looks_first``, before each pass. The image has another content, not
        another size.

        Args:
            image: (B, 3, H, W), normalised.
            first: Features of the frozen encoder alone, without gradients; ``text`` and
                ``fixed_text`` are the model's, with theirs.
        """
        return image

    def queries(self) -> Tensor | None:
        """Returns (Q, `query_dims`) object queries for the head, or None."""
        return None

    def aux_losses(self) -> dict[str, Tensor]:
        """Returns the scalar losses of the last forward pass, by name."""
        return {}

    def label_losses(self, labels: Tensor, *, ignore_index: int) -> dict[str, Tensor]:
        """Returns the scalar losses of the last forward pass that need labels, by name.

        Args:
            labels: (B, H, W) int64, one for each pixel of the encoder's input.
            ignore_index: Label of pixels without a class.
        """
        return {}

    def image_losses(self, labels: Tensor) -> dict[str, Tensor]:
        """Returns the scalar losses of the last forward pass that need a class of each image.

        Args:
            labels: (B,) int64.
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
        self._functions.clear()
