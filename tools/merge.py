#!/usr/bin/env python
"""The same as `rein-seg merge`: python tools/merge.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['merge', *sys.argv[1:]]))
