#!/usr/bin/env python
"""The same as `rein-seg pretrain-tiny`: python tools/pretrain_tiny.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['pretrain-tiny', *sys.argv[1:]]))
