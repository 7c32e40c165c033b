#!/usr/bin/env python
"""The same as `rein-seg compare-frames`: python tools/compare_frames.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['compare-frames', *sys.argv[1:]]))
