"""Several methods on one encoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.base import PEFTMethod
from rein_seg.registry import build_method
from rein_seg.structures import Anatomy, Features, Site


class Composed(PEFTMethod):
    """Attaches methods in order: where two change the same tensor, the first of them acts first.

    A parameter replaced by one method (BitFit) is replaced for all methods, whatever their order.
    Losses of the same name are added; the parameters of method i are called ``methods.i...``.

    Args:
        methods: Two or more methods.

    Raises:
        UserError: If a method looks first and another trains the encoder, two make queries for the
            head, carry tokens from block to block, move the content of the image, or train the same
            parameter of the encoder, or if a method that reads the output of an operation as
            W x + b follows a method that changes it.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, [dict(type='LoRA', rank=4), dict(type='BitFit')])
        >>> [sum(p.numel() for p in method.parameters()) for method in backbone.peft.methods]
        [110592, 17088]
    """

    def __init__(self, methods: Sequence[PEFTMethod]) -> None:
        super().__init__()
        self.methods = nn.ModuleList(methods)
        with_queries = [m for m in methods if m.query_dims is not None]
        if len(with_queries) > 1:
            raise UserError(
                f'{_names(with_queries)} all make queries, and the head takes one set: give '
                'link_to_queries=False to all but one method'
            )
        carrying = [m for m in methods if m.carries]
        if len(carrying) > 1:
            raise UserError(
                f"{_names(carrying)} all carry tokens from block to block: give form='deep' to "
                'all but one method'
            )
        moving = [m for m in methods if m.moves_pixels]
        if len(moving) > 1:
            raise UserError(
                f'{_names(moving)} all move the content of the image by what the encoder saw '
                'before: leave all but one method out'
            )
        looking = [m for m in methods if m.looks_first]
        training = [m for m in methods if m.trains_encoder]
        if looking and training:
            raise UserError(
                f'{_names(looking)} looks at the image with the frozen encoder first, and '
                f'{_names(training)} trains that encoder: expected one that stays frozen; leave '
                'one of the two out'
            )
        self.query_dims = with_queries[0].query_dims if with_queries else None
        self.carries = bool(carrying)
        self.exact_at_start = all(m.exact_at_start for m in methods)
        self.trains_encoder = any(m.trains_encoder for m in methods)
        self.looks_first = any(m.looks_first for m in methods)
        self.reads_text = any(m.reads_text for m in methods)
        self.moves_pixels = any(m.moves_pixels for m in methods)

    def attach(self, encoder: nn.Module, anatomy: Anatomy) -> None:
        """Attaches all methods to ``encoder``; see `PEFTMethod.attach`.

        Raises:
            UserError: If they do not go together; see the class.
        """
        if self._anatomy is not None:
            raise RuntimeError('Composed is attached already: detach() it first')
        self._check_parameters(anatomy)
        # hooks run in the order of registration: replaced parameters are put back last
        for method in sorted(self._each(), key=lambda m: m.replaces_parameters):
            method.attach(encoder, anatomy)
        self._anatomy = anatomy
        try:  # only attached methods know their operations
            self._check_operations()
        except UserError:
            self.detach()
            raise

    def detach(self) -> None:
        """Detaches all methods; see `PEFTMethod.detach`."""
        # first the method that may refuse; after a merge all refuse
        for method in sorted(self._each(), key=lambda m: not m.trains_encoder):
            method.detach()
        super().detach()

    def trainable_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields the trained parameters of each method."""
        for i, method in enumerate(self._each()):
            yield from ((f'methods.{i}.{name}', p) for name, p in method.trainable_parameters())

    def placed_parameters(self) -> Iterator[tuple[nn.Parameter, Site]]:
        """Yields the parameters of all methods with their sites."""
        for method in self._each():
            yield from method.placed_parameters()

    def owned_parameters(self, anatomy: Anatomy) -> set[str]:
        """Returns the encoder's parameters that any method trains or replaces."""
        return set().union(*(method.owned_parameters(anatomy) for method in self._each()))

    def still_modules(self, encoder: nn.Module) -> list[nn.Module]:
        """Returns the modules that any method keeps in eval mode."""
        return [module for method in self._each() for module in method.still_modules(encoder)]

    def operations(self) -> set[str]:
        """Returns the operations whose output any method changes."""
        return set().union(*(method.operations() for method in self._each()))

    def decays(self, name: str) -> bool:
        """Asks the method that the parameter belongs to."""
        _, index, own = name.split('.', 2)
        return list(self._each())[int(index)].decays(own)

    def prepare(self, image: Tensor, first: Features) -> Tensor:
        """Has each method that looks first prepare, in order; the last gets the others' image."""
        for method in self._each():
            if method.looks_first:
                image = method.prepare(image, first)
        return image

    def queries(self) -> Tensor | None:
        """Returns the queries of the method that makes some, or None."""
        made = (m.queries() for m in self._each() if m.query_dims is not None)
        return next(made, None)

    def aux_losses(self) -> dict[str, Tensor]:
        """Returns the losses of all methods."""
        return _add_up(method.aux_losses() for method in self._each())

    def label_losses(self, labels: Tensor, *, ignore_index: int) -> dict[str, Tensor]:
        """Returns the losses of all methods that need labels."""
        each = self._each()
        return _add_up(method.label_losses(labels, ignore_index=ignore_index) for method in each)

    def image_losses(self, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses of all methods that need a class of each image."""
        return _add_up(method.image_losses(labels) for method in self._each())

    def check_mergeable(self) -> None:
        """Checks all methods before the first is merged."""
        for method in self._each():
            method.check_mergeable()

    def merge_into_weights(self) -> None:
        """Merges the methods in the order in which they act."""
        for method in sorted(self._each(), key=lambda m: not m.replaces_parameters):
            method.merge()

    def _each(self) -> Iterator[PEFTMethod]:
        for method in self.methods:
            assert isinstance(method, PEFTMethod)
            yield method

    def _check_parameters(self, anatomy: Anatomy) -> None:
        owned = {method: method.owned_parameters(anatomy) for method in self._each()}
        count = Counter(name for names in owned.values() for name in names)
        shared = sorted(name for name, number in count.items() if number > 1)
        if shared:
            owners = [method for method, names in owned.items() if shared[0] in names]
            raise UserError(
                f'{_names(owners)} all train the parameter {shared[0]!r} ({len(shared)} in all): '
                'leave it to one method, for instance SoMA with train_bias=False, BitFit with '
                'other targets or blocks'
            )

    def _check_operations(self) -> None:
        changed: dict[str, PEFTMethod] = {}
        for method in self._each():
            operations = method.operations()
            before = sorted(operations & changed.keys())
            if before and method.reads_operations:
                raise UserError(
                    f'{type(method).__name__} comes after {type(changed[before[0]]).__name__} on '
                    f'{before[0]!r}, but needs its plain output: list it first, or give the two '
                    'different targets or blocks'
                )
            changed |= dict.fromkeys(operations, method)


def build_methods(cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> PEFTMethod:
    """Builds the method of a config, or a `Composed` of the methods in a list.

    Raises:
        UserError: If ``cfg`` is neither a config nor a list of configs, or a method does not build.

    Example:
        >>> from rein_seg.peft import build_methods
        >>> type(build_methods([dict(type='LoRA'), dict(type='BitFit')])).__name__
        'Composed'
    """
    if isinstance(cfg, Mapping):
        return build_method(cfg)  # type: ignore[return-value]
    if not isinstance(cfg, (list, tuple)) or not all(isinstance(each, Mapping) for each in cfg):
        raise UserError(f'peft={cfg!r}: expected dict(type=...) or a list of them')
    if not cfg:
        raise UserError("peft=[]: expected one method or more; dict(type='Frozen') adapts nothing")
    methods = [build_methods(each) for each in cfg]
    return methods[0] if len(methods) == 1 else Composed(methods)


def _add_up(each: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for losses in each:
        for name, loss in losses.items():
            total[name] = total[name] + loss if name in total else loss
    return total


def _names(methods: Sequence[PEFTMethod]) -> str:
    return ' and '.join(type(method).__name__ for method in methods)
