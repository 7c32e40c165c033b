"""A benchmark of a user's own data, described by one YAML file.

`text` reads the file, `keys` has the type of each value, `classes` the label space, `splits` the
domains, and `benchmark` makes the typed benchmark of them.
"""

from rein_seg.config.data_file.benchmark import OWN, is_data_file, read_benchmark

__all__ = ['OWN', 'is_data_file', 'read_benchmark']
