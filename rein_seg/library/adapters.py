"""Adapter files of attached methods and of built models."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from rein_seg.checkpoint import read_adapter, tensors_sha256
from rein_seg.checkpoint.adapter import write_adapter
from rein_seg.checkpoint.load import check_identity
from rein_seg.checkpoint.strict import check_fit
from rein_seg.errors import UserError
from rein_seg.library.attach import NAME, AttachedMethod, attached_methods
from rein_seg.library.config import unnamed
from rein_seg.library.model import BuiltModel
from rein_seg.palettes import distinct_colours
from rein_seg.registry import describe_method, registered_name
from rein_seg.run.results import adapter_metadata
from rein_seg.run.weights import load_weights

_METHOD = f'{NAME}.method.'


def save_adapter(
    module: nn.Module, path: str | os.PathLike, *, classes: Sequence[str] | None = None
) -> dict[str, int]:
    """Writes what training has changed in a module: an adapter file, safetensors.

    Args:
        module: A module with an attached method, or a model from `build_model`. The file of a built
            model is an adapter as a training run writes it: `rein_seg.load` and ``rein-seg
            predict`` need nothing else. The file of an attached method holds the method and the
            parts named ``trainable``.
        path: File to write, atomically.
        classes: Names of the classes, for the file of an attached method; a built model has its
            own.

    Returns:
        ``bytes`` of the file and ``tensor_bytes`` of its tensors.

    Raises:
        UserError: If nothing is attached, or the classes are not the model's.
        NotFinite: If a tensor holds NaN or infinite values.

    Example:
        >>> import rein_seg
        >>> model = rein_seg.build_model('vit_tiny', 'LoRA', 'linear', classes=['road', 'sky'])
        >>> _ = rein_seg.save_adapter(model, 'streets.safetensors')
        >>> rein_seg.load('streets.safetensors', device='cpu').classes
        ('road', 'sky')
    """
    if isinstance(module, BuiltModel):
        if classes is not None and tuple(classes) != module.classes:
            raise UserError(
                f'classes={tuple(classes)} are not the classes of the model, {module.classes}: '
                'leave them out, or build the model with them'
            )
        text = module.cfg.pretty_text
        metadata = adapter_metadata(module.cfg, module.segmentor, scores={}, config=text)
        return write_adapter(path, module.segmentor.state_dict(), metadata)
    attached = _attached(module)
    identity = _identity(attached)
    kind = identity['encoder']['config']['type']
    metadata = {**identity, 'config': None, 'attached_to': kind}
    if classes is not None:
        names = [str(name) for name in classes]
        palette = distinct_colours(len(names))
        metadata['dataset_meta'] = {'classes': names, 'palette': palette}
    return write_adapter(path, _tensors(attached), metadata)


def load_adapter(module: nn.Module, path: str | os.PathLike) -> str:
    """Loads an adapter file into the module it was made for, strictly.

    Args:
        module: A module with the same method attached, or a model from `build_model`.
        path: File from `save_adapter`, or for a built model of a training run.

    Returns:
        The coverage report.

    Raises:
        UserError: If the file was made for another method, module, number or order of classes, or
            does not cover every tensor; the module is then as it was.

    Example:
        >>> import timm
        >>> import rein_seg
        >>> sizes = dict(embed_dim=32, depth=2, num_heads=2)
        >>> model = timm.create_model('vit_small_patch16_224', **sizes)
        >>> _ = rein_seg.attach(model, 'LoRA', trainable='head')
        >>> _ = rein_seg.save_adapter(model, 'vit.safetensors')
        >>> rein_seg.load_adapter(model, 'vit.safetensors')
        'adapter from vit.safetensors: 18/18 tensors, 0 unexpected'
    """
    if isinstance(module, BuiltModel):
        meta = _names_in(path)
        _check_classes(meta, module, path)
        report = load_weights(module.segmentor, str(path))
        if meta and unnamed(module.classes):
            module.name_classes(meta['classes'], meta['palette'])
        return report
    attached, adapter = _attached(module), read_adapter(path)
    ours, made = _identity(attached), adapter.metadata
    place = f'adapter {str(path)!r}'
    check_identity(_without_weights(made), _without_weights(ours), source=place)
    wanted = _tensors(attached)
    report = check_fit(wanted, adapter.tensors, what='adapter', source=str(path))
    if made['encoder'].get('weights') != ours['encoder']['weights']:
        print_log(
            f'{path} was made with other frozen weights than this module has (SHA-256 of names, '
            'shapes, types and values): predictions will differ',
            logger='current',
            level=logging.WARNING,
        )
    own = {name.removeprefix(_METHOD): t for name, t in adapter.tensors.items() if _METHOD in name}
    attached.method.load_state_dict(own)
    for name in wanted.keys() - {_METHOD + key for key in own}:
        wanted[name].copy_(adapter.tensors[name])
    return report


def _names_in(path: str | os.PathLike) -> dict[str, Any]:
    """Returns classes and palette of an adapter file; empty where it names none."""
    if not str(path).endswith('.safetensors'):
        return {}
    meta = read_adapter(path).metadata.get('dataset_meta') or {}
    return meta if meta.get('classes') and meta.get('palette') else {}


def _check_classes(meta: Mapping[str, Any], model: BuiltModel, path: str | os.PathLike) -> None:
    """Checks that the file names the model's classes, where both name them."""
    theirs, ours = tuple(meta.get('classes') or ()), tuple(model.classes)
    # another number is told with the rest of the identity
    known = len(theirs) == len(ours) and not unnamed(theirs) and not unnamed(ours)
    if known and theirs != ours:
        raise UserError(
            f'{str(path)!r} was trained on the classes {theirs}, the model has {ours}: expected '
            f'the same in one order, since an index means a class; build it with '
            f'classes={list(theirs)}'
        )


def _attached(module: nn.Module) -> AttachedMethod:
    found = attached_methods(module) if isinstance(module, nn.Module) else []
    if isinstance(module, AttachedMethod) or len(found) != 1:
        raise UserError(
            f'{type(module).__name__} has {len(found)} attached methods: expected a module with '
            'one (rein_seg.attach), or a model from rein_seg.build_model'
        )
    return found[0]


def _tensors(attached: AttachedMethod) -> dict[str, Tensor]:
    """Returns the tensors that training changes, without graph, in the module's own memory.

    The method's come under ``rein_seg_peft.method.``, others under their names in the module.
    """
    own = {f'{_METHOD}{name}': t for name, t in attached.method.state_dict().items()}
    held = {id(param) for param in attached.method.parameters()}
    trained = {
        name: param
        for name, param in attached.module.named_parameters()
        if param.requires_grad and id(param) not in held
    }
    moving = {name.rpartition('.')[0] for name in trained}  # their statistics move, too
    buffers = {
        name: buffer
        for name, buffer in attached.module.named_buffers()
        if name.rpartition('.')[0] in moving and name in attached.module.state_dict()
    }
    return {name: tensor.detach() for name, tensor in {**own, **trained, **buffers}.items()}


def _identity(attached: AttachedMethod) -> dict[str, Any]:
    """Returns the method, and class, shapes and frozen weights of the module."""
    changed = set(_tensors(attached))
    state = {
        name: tensor
        for name, tensor in attached.encoder.state_dict().items()
        if f'{NAME}.' not in name
    }
    shapes = {name: list(tensor.shape) for name, tensor in state.items()}
    inside = f'{attached.path}.' if attached.path else ''
    frozen = {name: t for name, t in state.items() if inside + name not in changed}
    encoder = {
        'config': {
            'type': registered_name(type(attached.encoder)),
            'shapes': hashlib.sha256(json.dumps(shapes, sort_keys=True).encode()).hexdigest(),
        },
        'weights': f'sha256:{tensors_sha256(frozen)}',
    }
    return {'method': describe_method(attached.cfg), 'encoder': encoder}


def _without_weights(identity: Mapping[str, Any]) -> dict[str, Any]:
    encoder = {'config': (identity.get('encoder') or {}).get('config')}
    return {**{key: identity.get(key) for key in ('method', 'num_classes')}, 'encoder': encoder}
