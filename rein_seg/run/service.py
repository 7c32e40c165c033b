"""One frozen encoder in memory with several adapters, switched between images in milliseconds.

H x W image.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

from rein_seg.bands import short_list
from rein_seg.config.load import load_config
from rein_seg.config.task import check_segments
from rein_seg.encoders import SharedEncoder, sharing
from rein_seg.errors import UserError, near_misses
from rein_seg.run.predict import image_bands, make_ready, predict
from rein_seg.run.weights import load_weights

_HOOKS = (
    *('_forward_hooks', '_forward_hooks_with_kwargs', '_forward_hooks_always_called'),
    *('_forward_pre_hooks', '_forward_pre_hooks_with_kwargs'),
)


class AdapterService:
    """Segments images with any of several adapters on one encoder.

    Each adapter has its own method, neck, head and test settings. Only the encoder is shared, and
    no method writes into it: `switch` removes the hooks of one method and adds the hooks of
    another. Predictions equal those of a separately loaded model bit for bit.

    Several threads may call it. Calls wait for each other, since all hooks are in the same encoder:
    results are right, but images are computed one at a time. `model` is for one thread.

    Args:
        device: Such as ``cuda:0``; default the first GPU, else the CPU.

    Example:
        >>> import numpy as np
        >>> from rein_seg.apis import AdapterService
        >>> service = AdapterService(device='cpu')
        >>> service.add('rein', 'rein_tiny_miniscapes')
        >>> service.add('lora', 'lora_tiny_miniscapes')
        >>> service.predict(np.zeros((64, 128, 3), np.uint8), adapter='lora').shape
        (64, 128)
        >>> service.adapters, service.active
        (('rein', 'lora'), 'lora')
    """

    def __init__(self, *, device: str | None = None) -> None:
        self.device = device
        self._models: dict[str, Any] = {}
        self._shared: SharedEncoder | None = None
        self._active: str | None = None
        self._lock = threading.RLock()

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters, in the order of `add`."""
        return tuple(self._models)

    @property
    def active(self) -> str | None:
        """Name of the adapter whose hooks are in the encoder."""
        return self._active

    def add(self, name: str, config: str | Config, weights: str | None = None) -> None:
        """Loads an adapter; the first also loads the encoder.

        Args:
            name: For `switch` and `predict`.
            config: Config file, name of a shipped config, or resolved config. Its encoder must be
                the shared encoder, with the same weights; method, neck, head, classes and test
                settings may differ.
            weights: Adapter file or checkpoint; None leaves method and head at their initial
                values.

        Raises:
            UserError: If the name is taken, the encoder differs or has bands, the weights do not
                fit, or the method trains the encoder's own weights (Full). The service does not
                change then.
        """
        with self._lock:
            if name in self._models:
                raise UserError(f'adapter {name!r} is there already: remove() it, or take a name')
            cfg = load_config(config) if isinstance(config, str) else config
            check_segments(cfg, 'AdapterService')
            _check_colours(name, cfg)
            self._leave()
            with sharing(self._shared), self._clean_on_error():
                model: Any = MODELS.build(_unwrapped(cfg.model))
                backbone = model.backbone
                _check_frozen(name, backbone)
                if weights is not None:
                    load_weights(model, weights)
            make_ready(model, cfg, device=self.device)
            backbone.detach()  # its hooks come back with `switch`
            if self._shared is None:
                encoder_cfg = dict(cfg.model.backbone.encoder)
                self._shared = SharedEncoder(backbone.encoder, backbone.encoder_info, encoder_cfg)
            self._models[name] = model

    def remove(self, name: str) -> None:
        """Removes an adapter; the encoder stays.

        Raises:
            UserError: If there is no adapter of this name.
        """
        with self._lock:
            self._find(name)
            if self._active == name:
                self._leave()
            del self._models[name]

    def switch(self, name: str) -> None:
        """Puts an adapter into the encoder, in place of the active adapter.

        Raises:
            UserError: If there is no adapter of this name.
        """
        with self._lock:
            model = self._find(name)
            if self._active == name:
                return
            self._leave()
            with self._clean_on_error():
                model.backbone.attach()
            self._active = name

    def model(self, name: str) -> nn.Module:
        """Switches to an adapter and returns its segmentor, valid until the next switch."""
        with self._lock:
            self.switch(name)
            return self._models[name]

    def predict(self, image: np.ndarray, *, adapter: str | None = None) -> np.ndarray:
        """Returns the (H, W) class indexes of an (H, W, 3) uint8 BGR image.

        Args:
            image: See `rein_seg.apis.predict`.
            adapter: Name; None takes the active adapter.

        Raises:
            UserError: If there is no such adapter, none was chosen yet, or the image is of another
                shape or type.
        """
        with self._lock:
            chosen = self._active if adapter is None else adapter
            if chosen is None:
                raise UserError(f'no adapter is chosen: give adapter=NAME, one of {self.adapters}')
            return predict(self.model(chosen), image)

    def _find(self, name: str) -> Any:
        if name not in self._models:
            raise UserError(f'there is no adapter {name!r}; {near_misses(name, self._models)}')
        return self._models[name]

    def _leave(self) -> None:
        if self._active is not None:
            self._models[self._active].backbone.detach()
            self._active = None

    @contextmanager
    def _clean_on_error(self) -> Iterator[None]:
        """Removes hooks of a half-attached method, which would change every other adapter."""
        modules = [] if self._shared is None else list(self._shared.encoder.modules())
        before = [{key: set(getattr(module, key)) for key in _HOOKS} for module in modules]
        try:
            yield
        except BaseException:
            for module, known in zip(modules, before, strict=True):
                for key, ids in known.items():
                    for new in set(getattr(module, key)) - ids:
                        del getattr(module, key)[new]
            for module in modules[:1]:
                module.requires_grad_(False)
            raise


def _unwrapped(model: Any) -> dict[str, Any]:
    """Returns a model's config without activation checkpointing, which would wrap the encoder."""
    aside = 'activation_checkpointing'
    backbone = {key: value for key, value in model['backbone'].items() if key != aside}
    return {**model, 'backbone': backbone}


def _check_colours(name: str, cfg: Config) -> None:
    bands = image_bands(cfg)
    if bands is not None:
        raise UserError(
            f'adapter {name!r} takes {short_list(bands.use)}, and AdapterService takes images in '
            'BGR: load it with rein_seg.load'
        )


def _check_frozen(name: str, backbone: Any) -> None:
    """Checks that a method trains nothing of the encoder's own."""
    own = {id(param) for param in backbone.encoder.parameters()}
    trained = sum(id(param) in own for _, param in backbone.peft.trainable_parameters())
    if trained:
        raise UserError(
            f"adapter {name!r}: {type(backbone.peft).__name__} trains {trained} of the encoder's "
            f'{len(own)} parameters themselves, so it needs an encoder of its own: load it with '
            'init_model'
        )
