"""Tuners of the Hugging Face peft library, on the sites of an encoder."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.errors import UserError, near_misses
from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.context import Context
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, OpSite

_ROLES = (
    *('qkv', 'q', 'k', 'v', 'kv', 'proj', 'fc1', 'fc2', 'fc3'),
    *('conv1', 'conv2', 'conv3'),
)
_NAMES = ('target_modules', 'feedforward_modules', 'exclude_modules')  # may hold roles
_EXTRA = "pip install 'rein-seg[peft]'"


class _Standing:
    """Stands in for an operation of the encoder: uses its weights without owning them.

    Called with the same input as the operation just before, it returns the operation's output
    instead of computing it again.
    """

    op: Any
    given: tuple[Tensor, Tensor] | None

    def _stand_for(self, op: nn.Module) -> None:
        nn.Module.__init__(self)  # type: ignore[arg-type]
        self.__dict__['op'] = op  # a registered module would be saved, moved and counted twice
        self.given = None

    @property
    def weight(self) -> nn.Parameter:
        """The operation's own weight, so that merging writes into the encoder."""
        return self.op.weight

    @property
    def bias(self) -> nn.Parameter | None:
        """The operation's own bias."""
        return self.op.bias

    def forward(self, x: Tensor) -> Tensor:
        """Returns the output of the operation."""
        if self.given is not None and x is self.given[0]:
            return self.given[1]
        return self._compute(x)

    def _compute(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class StandingLinear(_Standing, nn.Linear):  # type: ignore[misc]
    """See `_Standing`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Returns a plain linear to the library, which builds layers of a base layer's type."""
        if kwargs or (args and not isinstance(args[0], nn.Module)):
            return nn.Linear(*args, **kwargs)
        return super().__new__(cls)  # of an operation, or a copy

    def __init__(self, op: nn.Linear) -> None:
        self._stand_for(op)
        self.in_features, self.out_features = op.in_features, op.out_features

    def _compute(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class StandingConv2d(_Standing, nn.Conv2d):  # type: ignore[misc]
    """See `_Standing`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Returns a plain convolution to the library; see `StandingLinear`."""
        if kwargs or (args and not isinstance(args[0], nn.Module)):
            return nn.Conv2d(*args, **kwargs)
        return super().__new__(cls)  # of an operation, or a copy

    def __init__(self, op: nn.Conv2d) -> None:
        self._stand_for(op)
        plain = {key: value for key, value in vars(op).items() if not key.startswith('_')}
        self.__dict__.update({k: v for k, v in plain.items() if k not in ('training',)})
        self._reversed_padding_repeated_twice = op._reversed_padding_repeated_twice

    def _compute(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight, self.bias)


@PEFT_METHODS.register_module()
class HFPeft(PEFTMethod):
    """Applies a tuner of the peft library that changes single linears and convolutions.

    Args:
        config: The tuner's config with the library's names: ``peft_type`` (IA3, OFT, BOFT, LOHA,
            LOKR, LORA, HRA, ...) and its arguments. ``target_modules`` (and
            ``feedforward_modules`` of IA3) hold roles of operations (qkv, proj, fc1, fc2, conv1,
            patch, ...), module names of the encoder or their ends, or are a pattern. Default: qkv
            or q, k, v, proj, fc1 to fc3 and, in ResNets, conv1 to conv3; fc2 is IA3's feed-forward.
        blocks: Block indexes; None takes all blocks and everything outside them; negative indexes
            count from the end.

    Shapes:
        OP(block, role): (..., in) -> (..., out), a fused qkv as a whole.

    Raises:
        UserError: If the library is not installed or refuses the config, or the tuner does not act
            on single operations, matches nothing, or changes pretrained weights at its start.

    Source: the library (Mangrulkar et al.); docs/background/decisions/0016-hf-peft.md.

    In a config: ``dict(type='HFPeft', config=dict(peft_type='IA3', target_modules=['qkv']))``.
    """

    exact_at_start = False  # depends on the tuner

    def __init__(self, config: Mapping[str, Any], *, blocks: Sequence[int] | None = None) -> None:
        super().__init__()
        self.config = _checked(config)
        self.blocks = tuple(blocks) if blocks is not None else None
        self.model: nn.Module = nn.Module()
        self._trained: set[str] = set()

    def build(self, anatomy: Anatomy) -> None:
        """Lets the library put its layers on stand-ins for the encoder's operations."""
        peft, sites = import_peft(), anatomy.find(OpSite, blocks=self.blocks)
        stands = {site.name: _stand(site.module) for site in sites}
        self.model = _tree(stands)
        # some starts (PiSSA, OLoRA) write into the base weight: detach() could not restore it
        before = [_mark(site.module) for site in sites]
        # the library reads the device from the model's first parameter; this model has none
        self.model.device_of = nn.Parameter(sites[0].module.weight.new_empty(0))
        try:
            options = _with_names(self.config, sites)
            peft.inject_adapter_in_model(_library_config(options), self.model)
        except Exception as error:  # dozens of tuners, each with its own exceptions
            raise UserError(
                f'HFPeft {self.config["peft_type"]}: the peft library refuses: {error} '
                f'(roles of this encoder: {sorted({site.role for site in sites})})'
            ) from error
        del self.model.device_of
        if before != [_mark(site.module) for site in sites]:
            raise UserError(
                f'HFPeft {self.config["peft_type"]}: this start changes the pretrained weights '
                'themselves, which an adapter must not do; choose another initialisation'
            )
        # noted before the backbone switches all gradients off and its own back on
        self._trained = {name for name, p in self.named_parameters() if p.requires_grad}
        if not self._trained:
            raise UserError(
                f'HFPeft {self.config["peft_type"]} trains nothing on linears and convolutions; '
                'choose a tuner that does, such as IA3, OFT or LOHA'
            )

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks each layer of the library to its operation."""
        for site in self._sites(anatomy):
            self.hook(site, self.run)

    def run(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns the output of the library's layer for ``x``; the operation gave ``y``."""
        assert isinstance(context.site, OpSite)
        layer: Any = self.model.get_submodule(context.site.name)
        stand, shape = layer.get_base_layer(), y.shape
        if isinstance(stand, StandingLinear) and x.dim() > 3:  # maps: some tuners take (B, N, C)
            x, y = x.flatten(1, -2), y.flatten(1, -2)
        stand.given = (x, y)
        try:
            return layer(x).to(y.dtype).view(shape)
        finally:
            stand.given = None

    def trainable_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields the parameters that the library trains."""
        yield from ((name, p) for name, p in self.named_parameters() if name in self._trained)

    def merge_into_weights(self) -> None:
        """Lets every layer merge into the encoder's weight."""
        assert self._anatomy is not None
        base = importlib.import_module('peft.tuners.tuners_utils').BaseTunerLayer
        kind = f'HFPeft {self.config["peft_type"]}'
        layers: list[Any] = [self.model.get_submodule(s.name) for s in self._sites(self._anatomy)]
        # asked for all layers first: a failure halfway would leave a half merged encoder
        if any(type(layer).merge is base.merge for layer in layers):
            raise NotImplementedError(f'{kind} cannot be merged: the library merges no such layer')
        try:
            for layer in layers:
                layer.merge(safe_merge=True)
        except (ValueError, NotImplementedError) as error:
            raise NotImplementedError(f'{kind} cannot be merged: {error}') from error

    def _sites(self, anatomy: Anatomy) -> list[OpSite]:
        sites = anatomy.find(OpSite, blocks=self.blocks)
        return [s for s in sites if not isinstance(self.model.get_submodule(s.name), _Standing)]


def import_peft() -> Any:
    """Returns the peft library.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return importlib.import_module('peft')
    except ImportError as error:
        raise UserError(
            f"peft type='HFPeft' needs the peft library, which cannot be imported ({error}): "
            f'{_EXTRA}'
        ) from error


def _checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a config as plain values, if the library knows its kind and the method allows it.

    Raises:
        UserError: If not.
    """
    import_peft()
    known = importlib.import_module('peft.mapping').PEFT_TYPE_TO_CONFIG_MAPPING
    if not isinstance(config, Mapping) or 'peft_type' not in config:
        raise UserError(f"HFPeft config={config!r}: expected dict(peft_type='IA3', ...)")
    plain = json.loads(json.dumps(dict(config), default=_plain))
    plain['peft_type'] = str(plain['peft_type']).upper()
    names = [kind.value for kind in known]
    if plain['peft_type'] not in names:
        raise UserError(
            f'HFPeft peft_type={plain["peft_type"]!r}: the installed library has no such tuner; '
            f'{near_misses(plain["peft_type"], names)}'
        )
    for key in ('bias', 'modules_to_save', 'target_parameters', 'trainable_token_indices'):
        if plain.get(key) not in (None, 'none', [], {}):
            raise UserError(
                f'HFPeft config.{key}={plain[key]!r} would train tensors of the encoder itself, '
                "which has no effect here: leave it out; peft type='BitFit' trains biases"
            )
    _library_config(plain)
    return plain


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, (set, frozenset)) else str(value)


def _library_config(options: Mapping[str, Any]) -> Any:
    """Returns the library's config object.

    Raises:
        UserError: If the library does not take an option.
    """
    args = dict(options)
    kind = args.pop('peft_type')
    mapping = importlib.import_module('peft.mapping').PEFT_TYPE_TO_CONFIG_MAPPING
    cls = next(cls for name, cls in mapping.items() if name.value == kind)
    if 'target_modules' not in cls.__dataclass_fields__:
        raise UserError(
            f'HFPeft peft_type={kind!r} does not change single linears or convolutions, so it has '
            'no place on the sites of an encoder; choose IA3, OFT or LOHA, for instance'
        )
    unknown = sorted(set(args) - set(cls.__dataclass_fields__))
    if unknown:
        raise UserError(
            f'HFPeft {kind} takes no {", ".join(map(repr, unknown))}: '
            f'{near_misses(unknown[0], cls.__dataclass_fields__)}'
        )
    try:
        return cls(**args)
    except (ValueError, TypeError) as error:
        raise UserError(f'HFPeft {kind}: the peft library refuses: {error}') from error


def _with_names(config: Mapping[str, Any], sites: Sequence[OpSite]) -> dict[str, Any]:
    """Returns a config with module names instead of roles, and with the default targets."""
    options = dict(config)
    by_role: dict[str, list[str]] = {}
    for site in sites:
        by_role.setdefault(site.role, []).append(site.name)
    if options.get('target_modules') is None:
        options['target_modules'] = [role for role in _ROLES if role in by_role]
    if options['peft_type'] == 'IA3' and options.get('feedforward_modules') is None:
        inner = isinstance(options['target_modules'], list) and 'fc2' in options['target_modules']
        options['feedforward_modules'] = ['fc2'] if inner and 'fc2' in by_role else []
    for key in _NAMES:
        if isinstance(options.get(key), list):
            options[key] = [name for part in options[key] for name in by_role.get(part, [part])]
    return options


def _stand(op: nn.Linear | nn.Conv2d) -> nn.Module:
    return StandingLinear(op) if isinstance(op, nn.Linear) else StandingConv2d(op)


def _tree(leaves: Mapping[str, nn.Module]) -> nn.Module:
    """Returns a module that holds only these modules, at their dotted names."""
    root = nn.Module()
    for name, leaf in leaves.items():
        *path, last = name.split('.')
        holder = root
        for part in path:
            if not hasattr(holder, part):
                holder.add_module(part, nn.Module())
            holder = holder.get_submodule(part)
        holder.add_module(last, leaf)
    return root


def _mark(op: nn.Module) -> tuple[Any, ...]:
    """Returns values that change when a weight is changed."""
    weight = op.weight
    assert isinstance(weight, Tensor)
    if weight.is_meta:
        return (id(weight),)
    sums = weight.sum(dtype=torch.float64), weight.abs().sum(dtype=torch.float64)
    return (id(weight), *(value.item() for value in sums))
