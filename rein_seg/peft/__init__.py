"""Parameter-efficient tuning methods: one file each, written once against typed sites.

Every registered method is an attribute: ``from rein_seg.peft import LoRA``.
"""

from typing import Any

from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.composed import Composed, build_methods
from rein_seg.registry import PEFT_METHODS

__all__ = ['Composed', 'PEFTMethod', 'build_methods']


def __getattr__(name: str) -> Any:
    # late: each method imports this package for its base class
    PEFT_METHODS.import_from_location()
    if name not in PEFT_METHODS.module_dict:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return PEFT_METHODS.module_dict[name]


def __dir__() -> list[str]:
    PEFT_METHODS.import_from_location()
    return [*__all__, *PEFT_METHODS.module_dict]
