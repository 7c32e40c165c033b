#!/usr/bin/env python
"""The same as `rein-seg train`: python tools/train.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['train', *sys.argv[1:]]))
