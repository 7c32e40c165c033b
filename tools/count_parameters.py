#!/usr/bin/env python
"""The same as `rein-seg count`: python tools/count_parameters.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['count', *sys.argv[1:]]))
