"""Puts a tuning method on somebody's own module.

B batch, H x W image.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rein_seg.encoders import find_anatomy
from rein_seg.errors import UserError
from rein_seg.library.find import find_encoder
from rein_seg.library.freeze import Frozen, chosen_parameters, frozen_modules
from rein_seg.library.parameters import print_trainable_parameters
from rein_seg.models.batch_norm import guard_batch_norms
from rein_seg.models.checkpointing import checkpoint_blocks
from rein_seg.peft import PEFTMethod, build_methods
from rein_seg.registry import method_class, registered_name
from rein_seg.structures import Anatomy, Side, StreamSite

NAME = 'rein_seg_peft'  # of the submodule with the method
Peft = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]
# own checkpointing of timm, transformers and mmpretrain: a second pass would not see our tokens
_CHECKPOINTING = ('grad_checkpointing', 'gradient_checkpointing', 'with_cp')


class AttachedMethod(nn.Module):
    """A tuning method on a module; `attach` returns it.

    It is a submodule of the encoder, called ``rein_seg_peft``, so that ``module.to(device)``,
    ``module.parameters()``, ``module.state_dict()`` and a deep copy of the module reach the method.
    All other names in the module's state dict stay as they were.

    Attributes:
        method: The method.
        cfg: Its config: one, or a list.
        path: Name of the encoder in the module; empty for the module itself.
        trainable: Names of further parameters and modules that train.
        anatomy: Of the encoder.
    """

    method: PEFTMethod

    def __init__(
        self,
        module: nn.Module,
        path: str,
        method: PEFTMethod,
        *,
        cfg: Any,
        anatomy: Anatomy,
        trainable: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.method, self.cfg, self.path = method, cfg, path
        self.anatomy, self.trainable = anatomy, trainable
        self._module = [module]  # in a list: the module is no part of this one
        self._frozen: Frozen | None = None
        self._former: list[tuple[nn.Module, str, Any]] = []
        self._handles: list[RemovableHandle] = []

    @property
    def module(self) -> nn.Module:
        """The module that the method was attached to."""
        return self._module[0]

    @property
    def encoder(self) -> nn.Module:
        """The encoder in the module, or the module itself."""
        return self.module.get_submodule(self.path)

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Returns the parameters of the module that train, for an optimizer."""
        return [param for param in self.module.parameters() if param.requires_grad]

    def print_trainable_parameters(self) -> None:
        """Prints the numbers of trainable and of all parameters of the module."""
        print_trainable_parameters(self.module)

    def losses(self, labels: Tensor | None = None, *, ignore_index: int = 255) -> dict[str, Tensor]:
        """Returns the method's own losses of the last forward pass, to be added to the task's.

        Most methods have none. ConvLoRA balances its experts; SPM needs labels.

        Args:
            labels: (B, H, W) int64, one for each pixel of the image; None leaves out losses that
                need labels.
            ignore_index: Label of pixels without a class.
        """
        losses = dict(self.method.aux_losses())
        if labels is not None:
            losses |= self.method.label_losses(labels, ignore_index=ignore_index)
        return losses

    def detach(self) -> None:
        """Takes the method off: the module is as it was before `attach`, bit for bit.

        Raises:
            RuntimeError: If the method has changed the encoder's own weights (Full).
        """
        self.method.detach()
        self._leave()

    def merge(self) -> None:
        """Writes the method into the encoder's weights and leaves a plain module.

        Raises:
            NotImplementedError: If that cannot be exact, with the reason.
        """
        self.method.merge()
        self._leave()

    def extra_repr(self) -> str:
        """Returns the trainable names."""
        return f'trainable={self.trainable}' if self.trainable else ''

    def _enter(self, *, activation_checkpointing: bool) -> None:
        """Connects the method, then freezes the rest."""
        module, encoder = self.module, self.encoder
        earlier = [(part, list(part._forward_hooks)) for part in encoder.modules()]
        for owner, name, value in self.anatomy.settings:
            self._former.append((owner, name, getattr(owner, name)))
            setattr(owner, name, value)
        self._handles = [_register(*hook) for hook in self.anatomy.hooks]
        try:
            self.method.attach(encoder, self.anatomy)
        except BaseException:
            for part in self.method.modules():
                if isinstance(part, PEFTMethod):
                    part._unhook()
            self._restore()
            raise
        # hooks that read outputs, of transformers or of the user, see them with the method
        for part, hooks in earlier:
            for key in hooks if len(part._forward_hooks) > len(hooks) else ():
                part._forward_hooks.move_to_end(key)
        guard_batch_norms(encoder)
        self.method.to(**_place(encoder))
        self.train(module.training)
        # a list: a method may mark by requires_grad which of its own parameters train
        trained = [p for _, p in self.method.trainable_parameters() if p.requires_grad]
        trained += chosen_parameters(module, self.trainable).values()
        follows = self.method.trains_encoder
        still = frozen_modules(module, encoder, self.trainable, follows=follows)
        still += self.method.still_modules(encoder)
        modules = [module] if module is encoder else [module, encoder]
        self._frozen = Frozen(modules, still)
        module.requires_grad_(False)
        for param in trained:
            param.requires_grad_(True)
        if activation_checkpointing:
            checkpoint_blocks(self.anatomy)
        holder(encoder).add_module(NAME, self)

    def _leave(self) -> None:
        delattr(holder(self.encoder), NAME)
        for site in self.anatomy.sites:
            if isinstance(site, StreamSite):
                for tap in site.taps:
                    vars(tap.module).pop('_call_impl', None)  # of activation checkpointing
        assert self._frozen is not None, 'left before it entered'
        self._frozen.undo()
        self._frozen = None
        self._restore()

    def _restore(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for owner, name, value in self._former:
            setattr(owner, name, value)
        self._former.clear()


def attach(
    module: nn.Module,
    peft: Peft,
    *,
    trainable: str | Sequence[str] = (),
    activation_checkpointing: bool = False,
) -> AttachedMethod:
    """Puts a tuning method on a module of timm, torchvision, transformers or mmpretrain.

    The module is changed in place: hooks go to its layers, all its parameters are frozen except the
    method's and ``trainable``, and frozen parts stay in eval mode. It stays usable by its own
    methods, in any training loop.

    Args:
        module: An encoder of a known class (`known_modules`), or a module with exactly one inside.
        peft: Name of a method, its config ``dict(type=..., ...)``, or a list for several.
            ``link_to_queries`` is off by default, since no head reads queries.
        trainable: Names of parameters or modules of ``module`` that train, too, such as ``head``.
        activation_checkpointing: Computes each block again in the backward pass instead of keeping
            its activations.

    Returns:
        The handle of the method: for an optimizer, to merge, to take it off.

    Raises:
        UserError: If no encoder or several are found, a method or a name is unknown, the encoder
            lacks the sites of the method, or a method is attached already; the module is then as
            it was.

    Example:
        >>> import timm, torch
        >>> import rein_seg
        >>> sizes = dict(embed_dim=32, depth=2, num_heads=2, num_classes=5)
        >>> model = timm.create_model('vit_small_patch16_224', **sizes)
        >>> attached = rein_seg.attach(model, dict(type='LoRA', rank=4), trainable='head')
        >>> attached.print_trainable_parameters()
        trainable params: 4,773 || all params: 61,189 || trainable%: 7.8004
        >>> optimizer = torch.optim.AdamW(attached.trainable_parameters())
        >>> model(torch.zeros(1, 3, 224, 224)).shape
        torch.Size([1, 5])
        >>> attached.merge()  # a plain timm model again
    """
    if not isinstance(module, nn.Module):
        raise UserError(
            f'attach: module is a {type(module).__name__}, expected a torch.nn.Module such as '
            "timm.create_model('vit_small_patch16_224')"
        )
    path, encoder = find_encoder(module)
    _check_wrapped(module)
    if any(isinstance(part, PEFTMethod) for part in module.modules()):
        raise UserError(
            f'attach: {registered_name(type(encoder))} has a method already: detach() it first, '
            'or give both in a list'
        )
    _check_checkpointing(encoder)
    if path:
        print_log(f'attach: the encoder is {path!r} ({registered_name(type(encoder))})', 'current')
    names = (trainable,) if isinstance(trainable, str) else tuple(trainable)
    cfg = method_config(peft)
    anatomy, method = _anatomy_of(encoder), build_methods(cfg)
    if method.looks_first:
        raise UserError(
            f'attach: {type(method).__name__} looks at the image first, which a module of its own '
            'does not do: expected another method, such as LoRA; or build a model from a config'
        )
    chosen = chosen_parameters(module, names)
    owned = {f'{path}.{name}'.lstrip('.') for name in method.owned_parameters(anatomy)}
    both = sorted(owned & chosen.keys())
    if both and not method.trains_encoder:
        raise UserError(
            f'attach: {both[0]!r} is in trainable, and the method trains a copy that replaces it: '
            'leave it to one of them'
        )
    attached = AttachedMethod(module, path, method, cfg=cfg, anatomy=anatomy, trainable=names)
    attached._enter(activation_checkpointing=activation_checkpointing)
    return attached


def attached_methods(module: nn.Module) -> list[AttachedMethod]:
    """Returns the handles of the methods on a module and on modules inside it."""
    return [part for part in module.modules() if isinstance(part, AttachedMethod)]


def holder(encoder: nn.Module) -> nn.Module:
    """Returns the module that holds the method: the encoder, or the first part of a container.

    The forward pass of a container calls each of its modules in turn.
    """
    while isinstance(encoder, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        encoder = next(iter(encoder.children()))
    return encoder


def method_config(peft: Any, *, queries: bool = False) -> Any:
    """Returns names and configs of methods as configs.

    Args:
        peft: As for `attach`.
        queries: Whether methods that can make queries for a head make them by default.

    Raises:
        UserError: If ``peft`` is of another type.

    Example:
        >>> from rein_seg.library.attach import method_config
        >>> method_config(['LoRA', dict(type='Rein')])
        [{'type': 'LoRA'}, {'link_to_queries': False, 'type': 'Rein'}]
    """
    if isinstance(peft, str):
        peft = {'type': peft}
    if isinstance(peft, (list, tuple)):
        return [method_config(each, queries=queries) for each in peft]
    if not isinstance(peft, Mapping):
        raise UserError(
            f"attach: peft={peft!r}: expected the name of a method, dict(type='LoRA', ...) or a "
            'list of these'
        )
    cls = method_class(str(peft.get('type')))
    if not queries and cls is not None and 'link_to_queries' in inspect.signature(cls).parameters:
        return {'link_to_queries': False, **peft}
    return dict(peft)


def _anatomy_of(encoder: nn.Module) -> Anatomy:
    try:
        return find_anatomy(encoder)
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        name = registered_name(type(encoder))
        raise UserError(
            f'attach: this {name} has other parts than the class usually has '
            f'({type(error).__name__}: {error}): expected its standard form; register an anatomy '
            'for it (docs/tutorials/your-encoder.md)'
        ) from error


def _register(module: nn.Module, side: Side, hook: Any) -> RemovableHandle:
    if side == 'input':
        return module.register_forward_pre_hook(hook, with_kwargs=True)
    return module.register_forward_hook(hook)


def _check_wrapped(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            raise UserError(
                f'attach: the module is inside {type(part).__name__}, which knows its parameters '
                'already: expected the module itself; attach first, then wrap it'
            )


def _check_checkpointing(encoder: nn.Module) -> None:
    for name, part in encoder.named_modules():
        option = next((key for key in _CHECKPOINTING if getattr(part, key, False) is True), None)
        if option is not None:
            raise UserError(
                f'attach: {name or type(encoder).__name__!r} has {option}=True: switch it off and '
                'give attach(..., activation_checkpointing=True), which also recomputes the method'
            )


def _place(encoder: nn.Module) -> dict[str, Any]:
    """Returns device and type of the encoder's weights."""
    param = next((p for p in encoder.parameters() if p.is_floating_point()), torch.empty(0))
    return {'device': param.device, 'dtype': param.dtype}
