"""How fast a config trains or predicts: time, memory, FLOPs, and where they go."""

from rein_seg.bench.speed.run import benchmark_speed
from rein_seg.bench.speed.tables import speed_tables

__all__ = ['benchmark_speed', 'speed_tables']
