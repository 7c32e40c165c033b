#!/usr/bin/env python
"""The same as `rein-seg compare`: python tools/compare.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['compare', *sys.argv[1:]]))
