"""Anatomies found from a network itself, by one forward pass that is recorded.

`record` notes every function call and module call of the pass. The other files read this record:
blocks are modules with a residual sum, roles follow from where an operation stands, layouts from
the modules that make a tensor.
"""

from rein_seg.encoders.traced.anatomy import traced_anatomy
from rein_seg.encoders.traced.record import Record, record

__all__ = ['Record', 'record', 'traced_anatomy']
