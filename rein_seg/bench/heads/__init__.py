"""Decode heads on the same encoders and method: time, FLOPs and memory, in turn."""

from rein_seg.bench.heads.run import ENCODERS, WORKS, benchmark_heads
from rein_seg.bench.heads.tables import heads_tables
from rein_seg.bench.heads.variants import HEADS

__all__ = ['ENCODERS', 'HEADS', 'WORKS', 'benchmark_heads', 'heads_tables']
