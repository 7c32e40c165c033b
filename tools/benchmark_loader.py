#!/usr/bin/env python
"""The same as `rein-seg benchmark-loader`: python tools/benchmark_loader.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['benchmark-loader', *sys.argv[1:]]))
