#!/usr/bin/env python
"""The same as `rein-seg class-table`: python tools/class_table.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['class-table', *sys.argv[1:]]))
