"""Benchmarks and protocols as this version ships them, by name.

A config may override any part of them. Deviations are therefore told by comparing with these
definitions, not with anything that a config says of a shipped name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from types import ModuleType

from rein_seg.config import benchmarks as benchmark_files
from rein_seg.config import protocols as protocol_files
from rein_seg.config.data_file import is_data_file, read_benchmark
from rein_seg.config.definitions import Benchmark, Protocol
from rein_seg.errors import UserError, near_misses


@cache
def benchmarks() -> Mapping[str, Benchmark]:
    """Returns name -> benchmark.

    Example:
        >>> from rein_seg.config.builtin import benchmarks
        >>> polyp = benchmarks()['polyp']
        >>> [domain.name for domain in polyp.domains('test')], polyp.selection
        (['kvasir', 'cvc612'], {'metric': 'polyp_val/S', 'rule': 'greater'})
    """
    return {one.BENCHMARK.name: one.BENCHMARK for one in _modules(benchmark_files)}


@cache
def protocols() -> Mapping[str, Protocol]:
    """Returns name -> protocol.

    Raises:
        ValueError: If two files define one name.

    Example:
        >>> from rein_seg.config.builtin import protocols
        >>> protocols()['soma512'].best, protocols()['rein512'].best
        ('mean/mIoU', None)
    """
    found: dict[str, Protocol] = {}
    for one in _modules(protocol_files):
        for name in one.PROTOCOLS.keys() & found.keys():
            raise ValueError(f'{one.__name__}: protocol {name!r} is defined elsewhere, too')
        found |= {name: replace(value, name=name) for name, value in one.PROTOCOLS.items()}
    return found


def find_benchmark(name: str) -> Benchmark:
    """Returns the benchmark that a config file names: a shipped one, or a data file.

    Raises:
        UserError: If there is none of this name, or the data file has a mistake.
    """
    if is_data_file(name):
        return read_benchmark(name)
    if name not in benchmarks():
        raise UserError(
            f'benchmark={name!r}; {near_misses(name, benchmarks())}; for data of your own give the '
            'path of a data file, data.yaml, which rein-seg init-data DIR writes'
        )
    return benchmarks()[name]


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f'{package.__name__}.{info.name}')
