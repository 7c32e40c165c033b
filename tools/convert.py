#!/usr/bin/env python
"""The same as `rein-seg convert`: python tools/convert.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['convert', *sys.argv[1:]]))
