#!/usr/bin/env python
"""The same as `rein-seg linear-probe`: python tools/linear_probe.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['linear-probe', *sys.argv[1:]]))
