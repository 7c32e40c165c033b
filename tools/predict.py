#!/usr/bin/env python
"""The same as `rein-seg predict`: python tools/predict.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['predict', *sys.argv[1:]]))
