#!/usr/bin/env python
"""The same as `rein-seg benchmark`: python tools/benchmark.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['benchmark', *sys.argv[1:]]))
