#!/usr/bin/env python
"""The same as `rein-seg benchmark-sam`: python tools/benchmark_sam.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['benchmark-sam', *sys.argv[1:]]))
