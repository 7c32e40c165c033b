"""A model in a program: built once, it predicts image after image.

H x W image, K classes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS, TRANSFORMS
from mmseg.structures import SegDataSample
from torch import nn

from rein_seg.bands import Bands, short_list
from rein_seg.config.load import load_config
from rein_seg.config.request import start_heads_from_no_file
from rein_seg.config.task import compares_images
from rein_seg.datasets.unseen import channel_metainfo
from rein_seg.errors import UserError
from rein_seg.models.base import task_of
from rein_seg.run.weights import load_weights


def init_model(
    config: str | Config, weights: str | None = None, *, device: str | None = None
) -> nn.Module:
    """Builds a config's model and loads weights into it.

    Args:
        config: Config file or completed config.
        weights: Adapter file or checkpoint, also of the official Rein repository; None leaves
            method and head at their initial values.
        device: Such as ``cuda:0``; default the first GPU, else the CPU.

    Returns:
        The segmentor in eval mode. ``dataset_meta`` holds its classes and palette, ``image_steps``
        the resizes of its test images, which `predict` applies.

    Example:
        >>> import numpy as np
        >>> from rein_seg.apis import init_model, predict
        >>> model = init_model('rein_tiny_miniscapes', device='cpu')
        >>> predict(model, np.zeros((64, 128, 3), np.uint8)).shape
        (64, 128)
    """
    cfg = load_config(config) if isinstance(config, str) else copy.deepcopy(config)
    if weights is not None:
        start_heads_from_no_file(cfg)
    init_default_scope('mmseg')  # names of classes are looked up in it
    model = MODELS.build(cfg.model)
    if weights is not None:
        load_weights(model, weights)
    return make_ready(model, cfg, device=device)


def make_ready(model: nn.Module, cfg: Config, *, device: str | None) -> nn.Module:
    """Prepares a model for `predict`: classes and resizes of its config, eval mode, device.

    mmseg's ``inference_model(model, image)`` and ``MMSegInferencer(model.cfg, weights)`` work on
    it, too.
    """
    model.dataset_meta = dataset_meta(cfg)
    model.image_steps = _image_steps(cfg)
    model.image_bands = image_bands(cfg)
    if task_of(cfg.model.type) == 'pixels':
        model.cfg = _for_mmseg(cfg)
    return model.to(device or ('cuda:0' if torch.cuda.is_available() else 'cpu')).eval()


def dataset_meta(cfg: Config, task: str | None = None) -> dict[str, Any]:
    """Returns classes and palette of a config's model without reading any data.

    They are the validation's, since a test may be of other classes; where images are compared with
    one another, the training's.

    Args:
        cfg: The config.
        task: Name of a task; None takes the first.

    Example:
        >>> from rein_seg.apis import load_config
        >>> from rein_seg.run.predict import dataset_meta
        >>> dataset_meta(load_config('conv_lora_tiny_blobs'))['classes']
        ('background', 'blob')
    """
    loader = cfg.get('val_dataloader') or cfg.test_dataloader
    kind = (cfg.get('model') or {}).get('type')
    if task_of(kind) == 'images' and compares_images(cfg):
        loader = cfg.get('train_dataloader') or loader
    data = _first_of(loader.dataset)
    if task is not None:
        data = next(one for one in loader.dataset.datasets if one.get('task') == task)
    return channel_metainfo(classes_of(data), cfg.get('benchmark'))


def image_bands(cfg: Config) -> Bands | None:
    """Returns the bands of the images of a config's first test domain, None for RGB.

    Example:
        >>> from rein_seg.apis import load_config
        >>> from rein_seg.run.predict import image_bands
        >>> image_bands(load_config('rein_tiny_minibands_rgb')).use
        ('red', 'green', 'blue')
    """
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    return Bands.of(_first_of(loader.dataset).get('bands'))


def classes_of(part: Mapping[str, Any]) -> dict[str, Any]:
    """Returns classes and palette of a data set's config."""
    return {**DATASETS.get(part['type']).METAINFO, **(part.get('metainfo') or {})}


def _first_of(dataset: Any) -> Any:
    return dataset.datasets[0] if 'datasets' in dataset else dataset


def _for_mmseg(cfg: Config) -> Config:
    """Returns the parts of a config that mmseg's functions of inference read, as they expect."""
    pipeline = [dict(type='LoadImageFromFile'), *_resizes(cfg), dict(type='PackSegInputs')]
    visualizer = {'type': 'SegLocalVisualizer', **(cfg.get('visualizer') or {})}
    return Config(
        dict(
            default_scope='mmseg',
            model=cfg.model,
            test_pipeline=pipeline,
            test_dataloader=dict(
                dataset={**_first_of(cfg.test_dataloader.dataset), 'pipeline': pipeline}
            ),
            visualizer=visualizer,
        ),
        format_python_code=False,
    )


def _resizes(cfg: Config) -> list[Any]:
    steps = _first_of(cfg.test_dataloader.dataset).get('pipeline') or []
    if task_of(cfg.model.type) == 'images':  # all between loading and packing
        return list(steps[1:-1])
    return [step for step in steps if step['type'] == 'Resize']


def _image_steps(cfg: Config) -> list[Any]:
    """Returns the resizes of the first test domain's pipeline; of whole images the crops, too."""
    return [TRANSFORMS.build(step) for step in _resizes(cfg)]


@torch.no_grad()
def predict(model: nn.Module, image: np.ndarray) -> np.ndarray:
    """Returns the (H, W) class indexes of an (H, W, 3) uint8 BGR image.

    The image is resized like the images of the first test domain; the result has its own size. It
    is uint8, above 255 classes uint16.

    Raises:
        UserError: If the image is of another shape or type, or the model is of whole images or of
            bands.

    Example:
        >>> import numpy as np
        >>> from rein_seg.apis import init_model, predict
        >>> model = init_model('rein_tiny_miniscapes', device='cpu')
        >>> classes = predict(model, np.zeros((64, 128, 3), np.uint8))
        >>> classes.dtype, model.dataset_meta['classes'][0]
        (dtype('uint8'), 'road')
    """
    if getattr(model, 'task', 'pixels') == 'images':
        raise UserError(
            f'predict returns the class of each pixel, and {type(model).__name__} gives one result '
            'for a whole image: use rein_seg.load(adapter).predict(image)'
        )
    bands = getattr(model, 'image_bands', None)
    if bands is not None:
        raise UserError(
            f'predict takes images in BGR, and the model takes {short_list(bands.use)}: use '
            'rein_seg.load(adapter).predict(path)'
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UserError(
            f'image is {image.dtype} of shape {image.shape}: expected uint8 (H, W, 3) in BGR '
            'order, as cv2.imread gives'
        )
    results = dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
    for step in getattr(model, 'image_steps', ()):
        results = step(results)
    # (H, W, 3) -> (3, H, W); the model normalises, and resizes its result to ori_shape
    tensor = torch.from_numpy(np.ascontiguousarray(results['img'].transpose(2, 0, 1)))
    shapes = {key: results[key] for key in ('img_shape', 'ori_shape')}
    sample = SegDataSample(metainfo=shapes)
    result = model.test_step(dict(inputs=[tensor], data_samples=[sample]))
    label = result[0].pred_sem_seg.data.squeeze(0).cpu().numpy()
    return label.astype(np.uint16 if model.num_classes > 255 else np.uint8)
