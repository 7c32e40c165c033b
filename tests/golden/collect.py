"""Finds golden cases: the ones kept here, and those of every folder in REIN_SEG_GOLDEN."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file


@dataclass(frozen=True)
class Golden:
    """One case: the sidecar and the tensors, read when asked for."""

    path: Path
    meta: dict

    def tensors(self, prefix: str) -> dict[str, torch.Tensor]:
        """Tensors below ``prefix.``, without it."""
        prefix += '.'
        content = load_file(self.path.with_suffix('.safetensors'))
        return {k.removeprefix(prefix): v for k, v in content.items() if k.startswith(prefix)}

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor of this full name."""
        return load_file(self.path.with_suffix('.safetensors'))[name]


def roots() -> list[Path]:
    extra = os.environ.get('REIN_SEG_GOLDEN', '').split(os.pathsep)
    return [Path(__file__).parent / 'data', *(Path(p) for p in extra if p)]


def cases(family: str, accept) -> list:
    """Returns pytest parameters of all cases of a family whose sidecar ``accept``s."""
    found = []
    for index, root in enumerate(roots()):
        for path in sorted((root / family).glob('*.json')):
            meta = json.loads(path.read_text())
            if isinstance(meta, dict) and accept(meta):
                marks = pytest.mark.golden
                found.append(
                    pytest.param(Golden(path, meta), id=f'{index}-{path.stem}', marks=marks)
                )
    return found


def assert_near(actual: torch.Tensor, expected: torch.Tensor, name: str, tolerance: float = 1e-4):
    """Absolute plus relative tolerance, as the README of the vectors suggests."""
    torch.testing.assert_close(
        actual, expected, rtol=tolerance, atol=tolerance, msg=lambda m: f'{name}: {m}'
    )


def assert_gradient(actual: torch.Tensor, expected: torch.Tensor, name: str):
    """At most 1e-4 of the largest reference gradient away."""
    error = (actual - expected).abs().max()
    assert error <= 1e-4 * expected.abs().max(), f'{name}: {error} of {expected.abs().max()}'
