"""Compares methods over seeds on one benchmark: trains them and puts their results side by side.

`compare` trains, `build_comparison` aggregates loaded results, `WRITERS` lists the files of a
comparison; `show_results` reads finished runs.
"""

from rein_seg.compare.aggregate import build_comparison
from rein_seg.compare.entry import Run
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
