#!/usr/bin/env python
"""The same as `rein-seg test`: python tools/test.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['test', *sys.argv[1:]]))
