"""Loads a trained model from the file that people share, or a run's folder, or the hub."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from rein_seg.checkpoint import read_adapter, read_checkpoint
from rein_seg.checkpoint.old_files import translate_method
from rein_seg.checkpoint.tensors import shown
from rein_seg.config.find import shipped_configs
from rein_seg.config.load import load_config
from rein_seg.config.origins import leaves
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.config.stored import read_stored
from rein_seg.download import HubId, hub_files, parse_hub_id
from rein_seg.encoders.anatomy import known_classes
from rein_seg.errors import UserError, near_misses
from rein_seg.inference.class_list import Choice, read_class_list
from rein_seg.inference.image_predictor import ImagePredictor
from rein_seg.inference.predictor import Predictor
from rein_seg.models.open_vocabulary import NO_TEXT, check_open
from rein_seg.run.predict import dataset_meta, init_model

ADAPTER = 'adapter.safetensors'
_MODELS = {
    'type': (
        'PEFTSegmentor',
        'AdversarialSegmentor',
        'MultiTaskSegmentor',
        'TwoStageSegmentor',
        'PEFTImageModel',
    ),
    'backbone.type': ('PEFTBackbone',),
}
_SUFFIXES = ('.safetensors', '.pth', '.pt', '.py', '.ckpt', '.bin')


def load(
    source: str | Path,
    *,
    device: str | None = None,
    config: str | Config | None = None,
    encoder_weights: str | Path | None = None,
    classes: Choice | None = None,
    unseen: Sequence[str] | None = None,
    task: str | None = None,
) -> Predictor | ImagePredictor:
    """Loads a trained model to predict with.

    An adapter file is enough: it holds the config, the classes and the palette; the encoder's
    weights are found as its config names them, also beside the adapter. Nothing in the file is run.

    Args:
        source: An adapter file, a training checkpoint, the folder of a run with
            ``adapter.safetensors``, or an id of the Hugging Face hub, ``user/name`` or
            ``user/name@revision``, also after ``hf:``.
        device: Such as ``cuda:0``; default the first GPU, else the CPU.
        config: Config to use in place of the file's own, for files without a config.
        encoder_weights: File of the encoder's weights, where it lies elsewhere.
        classes: Other classes than those of the training, for a model that reads the names of
            classes; see `Predictor.with_classes`.
        unseen: Names of the classes that training did not label; see `Predictor.with_classes`.
        task: Name of the task to predict, of a model of several tasks; default its first.

    Raises:
        UserError: If there is no such file, it holds no config, it was made for other encoder
            weights, the encoder's weights are missing, its classes are fixed and others are
            asked for, ``unseen`` is given alone, or the device is absent.

    Example:
        >>> import rein_seg
        >>> predictor = rein_seg.load('work_dirs/demo')  # doctest: +SKIP
        >>> result = predictor.predict('street.jpg', overlay=True)  # doctest: +SKIP
        >>> result.save('street_classes.png')  # doctest: +SKIP
    """
    if unseen is not None and classes is None:
        raise UserError(
            f'unseen={list(unseen)!r} without classes has no effect: expected both; give classes, '
            'or leave unseen out'
        )
    place = check_device(device)
    path = find_weights(source)
    cfg, meta = _config_of(path) if config is None else (_given(config), {})
    if classes is not None:
        read_class_list(classes)
        check_open(None if cfg.model.get('text') else NO_TEXT)
    if task is not None:
        _check_task(task, cfg.model.get('tasks') or {}, path)
    _point_to_encoder(cfg, path, encoder_weights)
    model: Any = init_model(cfg, str(path), device=place)
    model.dataset_meta = {**model.dataset_meta, **meta}
    if meta:
        _check_classes(model, path)
    if task is not None:
        model.set_task(task)
        model.dataset_meta = dataset_meta(cfg, task)
    predictor = ImagePredictor(model) if model.task == 'images' else Predictor(model)
    return predictor if classes is None else predictor.with_classes(classes, unseen=unseen)


def _check_task(task: str, tasks: Mapping[str, Any], path: Path) -> None:
    if task not in tasks:
        known = near_misses(task, tasks) if tasks else 'it has one task; leave the task out'
        raise UserError(f'task={task!r} is no task of the model in {str(path)!r}; {known}')


def _check_classes(model: Any, path: Path) -> None:
    count = len(model.dataset_meta.get('classes') or ())
    if count not in (0, model.num_classes):
        raise UserError(
            f'{str(path)!r} names {count} classes, but its model has {model.num_classes}: expected '
            'a name for each; give the config it was trained with, load(..., config=FILE)'
        )


def check_device(device: str | None) -> str | None:
    """Returns a device, after checking that the machine has it.

    Raises:
        UserError: If its name is no device, or it is absent.

    Example:
        >>> from rein_seg.inference.loading import check_device
        >>> check_device('cpu')
        'cpu'
    """
    if device is None:
        return None
    try:
        named = torch.device(device)
        torch.empty(0, device=named)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        here = ['cpu', *(f'cuda:{i}' for i in range(torch.cuda.device_count()))]
        reason = str(error).strip().splitlines()[0].rstrip('.')
        raise UserError(
            f'device={str(device)!r} cannot be used ({reason}): expected one of '
            f'{", ".join(here)}; leave it out to take the first GPU, else the CPU'
        ) from error
    return str(device)


def find_weights(source: str | Path) -> Path:
    """Returns the weights file of a source; it is downloaded if the source is a hub id.

    Raises:
        UserError: If there is none.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        if (path / ADAPTER).is_file():
            return path / ADAPTER
        raise UserError(
            f'folder {str(source)!r} holds no {ADAPTER}: expected the folder of a finished run, or '
            'give the file of the weights'
        )
    if path.is_file():
        return path
    if isinstance(source, str) and source.removesuffix('.py') in shipped_configs():
        raise UserError(
            f'{source!r} is a shipped config, which has no trained weights: expected an adapter '
            f'file; train it (rein-seg train {source}), or build it untrained with '
            f'rein_seg.init_model({source!r})'
        )
    hub_id = _hub_id(source)
    if hub_id is not None:
        advice = f'{str(source)!r} is no file here, either: give the path of an {ADAPTER}'
        return hub_files(hub_id, [ADAPTER], advice=advice, first_wait=0.2)
    raise UserError(
        f'{str(source)!r} does not exist: expected an adapter file, the folder of a run, or an id '
        'of the hub such as user/name'
    )


def _hub_id(source: str | Path) -> HubId | None:
    """Returns the id of the hub in a source; None if it can be a path alone."""
    if not isinstance(source, str):
        return None
    if source.startswith('hf:'):
        return parse_hub_id(source)
    parts = source.partition('@')[0].split('/')
    # a mistyped name in a folder that is there is no id
    if len(parts) != 2 or source.endswith(_SUFFIXES) or Path(parts[0]).is_dir():
        return None
    try:
        return parse_hub_id(f'hf:{source}')
    except UserError:
        return None


def stored_config(source: str | Path) -> tuple[Path, Config, dict[str, Any]]:
    """Reads the config of a trained model without building it.

    Args:
        source: As `load`.

    Returns:
        The weights file, the resolved config, and ``classes`` and ``palette`` where the file says
        them.

    Raises:
        UserError: As `load`.
    """
    path = find_weights(source)
    return path, *_config_of(path)


def _config_of(path: Path) -> tuple[Config, dict[str, Any]]:
    """Returns the config in a weights file, and classes and palette where the file says them."""
    if path.suffix == '.safetensors':
        held = read_adapter(path).metadata
        text, meta = held.get('config'), held.get('dataset_meta')
    else:
        held = read_checkpoint(str(path)).get('meta') or {}
        text, meta = held.get('cfg'), held.get('dataset_meta')
    if held.get('attached_to'):
        raise UserError(
            f'{str(path)!r} is of a method on a module of its own, {shown(held["attached_to"])}: '
            'expected the adapter of a whole model; build and attach as for its training, then '
            'rein_seg.load_adapter(module, path)'
        )
    if not isinstance(text, str) or not text:
        raise UserError(
            f'{str(path)!r} holds no config: expected an adapter file or a training checkpoint; '
            'give the config it was trained with, load(..., config=FILE)'
        )
    cfg = read_stored(text, repr(str(path)))
    _take_prompts(cfg, held.get('identity') or held)
    backbone = (cfg.get('model') or {}).get('backbone') or {}
    if 'peft' in backbone:  # files of 0.1.0 name arguments otherwise
        backbone['peft'] = translate_method(backbone['peft'])
    if isinstance(cfg.get('model'), dict):
        _check_known(cfg.model, path)
    return resolve(cfg, Request(weights_given=True)).cfg, _names(meta)


def _short(name: Any) -> str:
    return str(name).rpartition('.')[2]


def _check_known(model: Mapping[str, Any], path: Path) -> None:
    """Checks that a model of a stranger's file is made of parts that are known here.

    mmpretrain registers functions and classes that import what an argument names.
    """
    kinds = {key: name for key, name in leaves(model) if key.rpartition('.')[2] == 'type'}
    encoder = kinds.pop('backbone.encoder.type', None)
    wrong = {key: name for key, name in kinds.items() if str(name).startswith('mmpretrain.')}
    for key, names in _MODELS.items():
        if _short(kinds.get(key)) not in names:
            wrong[key] = kinds.get(key)
    if _short(encoder) not in known_classes():
        wrong['backbone.encoder.type'] = encoder
    for place, name in wrong.items():
        raise UserError(
            f'the config in {str(path)!r} says model.{place}={name!r}: expected parts that are '
            'known here; give a config that you trust, load(..., config=FILE)'
        )


def _names(meta: Any) -> dict[str, Any]:
    known = meta if isinstance(meta, dict) else {}
    return {key: known[key] for key in ('classes', 'palette') if known.get(key)}


def _given(config: str | Config) -> Config:
    return load_config(config) if isinstance(config, str) else copy.deepcopy(config)


def _point_to_encoder(cfg: Config, path: Path, given: str | Path | None) -> None:
    """Sets the files of encoder and text, in place: the given, the config's, or beside it."""
    encoder, text = cfg.model.backbone.encoder, cfg.model.get('text') or {}
    _look_beside(text.get('tower') or {}, 'checkpoint', path)
    _look_beside(text, 'file', path)
    if given is not None:
        if not Path(given).is_file():
            raise UserError(
                f'encoder_weights={str(given)!r} does not exist: expected the file of the '
                "encoder's official weights (docs/reference/weights.md)"
            )
        encoder.checkpoint = str(given)
        return
    _look_beside(encoder, 'checkpoint', path)


def _take_prompts(cfg: Config, made: Mapping[str, Any]) -> None:
    """Has learned prompts come from the weights file, in place of the file of their training."""
    model = cfg.get('model') or {}
    for part, known in ((model, made), (model.get('regions') or {}, made.get('regions') or {})):
        text, theirs = part.get('text') or {}, known.get('text') or {}
        if text.get('prompts') and theirs.get('prompts'):
            text['prompts'] = theirs['prompts']


def _look_beside(part: Any, key: str, path: Path) -> None:
    """Sets a file that a config names, in place, where it lies beside ``path`` alone."""
    named = part.get(key)
    if isinstance(named, str) and ':' not in named and not Path(named).is_file():
        beside = path.parent / Path(named).name
        if beside.is_file():
            part[key] = str(beside)
