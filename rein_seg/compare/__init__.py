"""Several methods, several seeds, one benchmark: runs them and puts their results side by side.

`compare` runs, `build_comparison` aggregates loaded results, `WRITERS` says what is written of
it; `show_results` reads runs that are there.
"""

from rein_seg.compare.aggregate import Run, build_comparison
from rein_seg.compare.runs import compare
from rein_seg.compare.stored import show_results
from rein_seg.compare.tables import WRITERS, text_tables, write_comparison

__all__ = [
    'WRITERS',
    'Run',
    'build_comparison',
    'compare',
    'show_results',
    'text_tables',
    'write_comparison',
]
