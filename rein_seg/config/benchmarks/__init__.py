"""The benchmarks of this package: a file each, with its ``BENCHMARK``."""
