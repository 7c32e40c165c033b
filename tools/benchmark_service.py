#!/usr/bin/env python
"""The same as `rein-seg benchmark-service`: python tools/benchmark_service.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['benchmark-service', *sys.argv[1:]]))
