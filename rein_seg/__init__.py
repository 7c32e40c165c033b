"""Frozen vision foundation models, parameter-efficient tuning, segmentation on unseen domains.

The public names are in `rein_seg.apis`, and here: ``rein_seg.train`` is ``rein_seg.apis.train``.
The first of them that is used imports PyTorch; ``import rein_seg`` alone does not.
"""

from importlib import import_module
from typing import Any

from rein_seg.version import __version__

PUBLIC = (
    'AdapterService',
    'Prediction',
    'Predictor',
    'attach',
    'build_backbone',
    'build_model',
    'init_model',
    'known_modules',
    'load',
    'load_adapter',
    'load_config',
    'predict',
    'print_trainable_parameters',
    'save_adapter',
    'submit',
    'test',
    'train',
)
__all__ = ['__version__', *PUBLIC]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use."""
    if name not in PUBLIC:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module('rein_seg.apis'), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
