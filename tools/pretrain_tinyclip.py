#!/usr/bin/env python
"""The same as `rein-seg pretrain-tinyclip`: python tools/pretrain_tinyclip.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['pretrain-tinyclip', *sys.argv[1:]]))
