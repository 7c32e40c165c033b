#!/usr/bin/env python
"""The same as `rein-seg check-data`: python tools/check_data.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['check-data', *sys.argv[1:]]))
