#!/usr/bin/env python
"""The same as `rein-seg benchmark-heads`: python tools/benchmark_heads.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['benchmark-heads', *sys.argv[1:]]))
