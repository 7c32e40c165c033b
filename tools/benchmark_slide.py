#!/usr/bin/env python
"""The same as `rein-seg benchmark-slide`: python tools/benchmark_slide.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['benchmark-slide', *sys.argv[1:]]))
