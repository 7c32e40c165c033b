"""CAT: the class-aware transformer of CASTformer, as a neck."""

from rein_seg.necks.cat.neck import CATNeck

__all__ = ['CATNeck']
