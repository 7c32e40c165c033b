"""Names in timm's networks of stages, by the names in timm's whole models.

``features_only`` renames modules: `FeatureListNet` joins the names of lists (``stages.0`` becomes
``stages_0``), `FeatureGetterNet` and `FeatureHookNet` put the model below ``model`` or ``body``.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from torch import Tensor, nn

from rein_seg.encoders.timm.efficientnet_lite import to_timm_names
from rein_seg.errors import UserError

_BELOW = {'FeatureGetterNet': 'model.', 'FeatureHookNet': 'body.'}


def stage_names(network: nn.Module, whole: nn.Module) -> dict[str, str]:
    """Returns the names of the tensors of a network of stages, by their names in the whole model.

    Args:
        network: timm's model built with ``features_only=True``.
        whole: The same model, built without.

    Raises:
        UserError: If a tensor of the network is none of the model's, or has another shape there.

    Example:
        >>> import timm
        >>> from rein_seg.encoders.timm.stages_names import stage_names
        >>> sizes = dict(dims=(8, 16, 16, 16), depths=(1, 1, 1, 1))
        >>> network = timm.create_model('convnext_atto', features_only=True, **sizes)
        >>> whole = timm.create_model('convnext_atto', **sizes)
        >>> stage_names(network, whole)['stages.2.blocks.0.norm.weight']
        'stages_2.blocks.0.norm.weight'
    """
    own = {key: value.shape for key, value in network.state_dict().items()}
    names: dict[str, str] = {}
    for key, value in whole.state_dict().items():
        new = _network_name(key, network)
        if new in own and own[new] == value.shape:
            names[key] = new
    strange = sorted(own.keys() - set(names.values()))
    if strange or len(set(names.values())) < len(names):
        raise UserError(
            f'timm renames {strange[:3]} in its network of stages by a rule that is not known '
            'here: report it with the name of the model'
        )
    return names


def _network_name(key: str, network: nn.Module) -> str:
    below = _BELOW.get(type(network).__name__, '')
    if below.rstrip('.') in network._modules and len(network._modules) == 1:
        return below + key
    first, _, rest = key.partition('.')
    second, _, tail = rest.partition('.')
    joined = f'{first}_{second}'
    if first not in network._modules and joined in network._modules:
        return f'{joined}.{tail}'
    return key


def timm_names(
    state: Mapping[str, Tensor], names: Mapping[str, str]
) -> tuple[dict[str, Tensor], bool]:
    """Returns a file without its prefix, and under the whole model's names if it is a network's.

    Args:
        state: Tensors by name, as downloaded.
        names: Of `stage_names`.

    Returns:
        The file, and whether it holds the network itself (as an encoder, or as timm built it).

    Example:
        >>> from rein_seg.encoders.timm.stages_names import timm_names
        >>> names = {'stem.weight': 'stem.weight', 'stages.0.weight': 'stages_0.weight'}
        >>> timm_names({'module.stem.weight': 1, 'module.stages.0.weight': 2}, names)
        ({'stem.weight': 1, 'stages.0.weight': 2}, False)
        >>> timm_names({'model.stem.weight': 1, 'model.stages_0.weight': 2}, names)
        ({'stem.weight': 1, 'stages.0.weight': 2}, True)
    """
    state = to_timm_names(state) or state
    key, new = next(iter(names.items()))
    encoder = 'model.' + new.removesuffix(key) if new.endswith(key) else 'model.'
    for known in (names, dict(zip(names.values(), names, strict=True))):
        prefix = _prefix(state, known.keys())
        stripped = {key.removeprefix(prefix): value for key, value in state.items()}
        found = known.keys() & stripped.keys()
        if 2 * len(found) > len(known):
            if known is names:
                return stripped, prefix.endswith(encoder)
            return {known.get(key, key): value for key, value in stripped.items()}, True
    wrapped = all(key.startswith('module.') for key in state)  # an official file's own names
    return {k.removeprefix('module.') if wrapped else k: v for k, v in state.items()}, False


def _prefix(state: Mapping[str, Tensor], known: Set[str]) -> str:
    """Returns the prefix under which most of the known names stand in a file."""
    anchor = min(known)
    prefixes = {key.removesuffix(anchor) for key in state if f'.{key}'.endswith(f'.{anchor}')}
    return max(
        sorted(prefixes | {''}),
        key=lambda prefix: sum(prefix + key in state for key in known),
    )


def is_classifier(key: str, whole: nn.Module) -> bool:
    """Returns whether the model's classifier, which its arguments may leave out, has this name.

    Example:
        >>> import timm
        >>> from rein_seg.encoders.timm.stages_names import is_classifier
        >>> is_classifier('fc.weight', timm.create_model('resnet18', num_classes=0))
        True
    """
    names = getattr(whole, 'pretrained_cfg', {}).get('classifier') or ()
    classifiers = (names,) if isinstance(names, str) else tuple(names)
    return key.startswith(tuple(f'{name}.' for name in classifiers))
