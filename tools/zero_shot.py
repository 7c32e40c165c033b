#!/usr/bin/env python
"""The same as `rein-seg zero-shot`: python tools/zero_shot.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['zero-shot', *sys.argv[1:]]))
