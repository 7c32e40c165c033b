#!/usr/bin/env python
"""The same as `rein-seg show-results`: python tools/show_results.py --help"""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main(['show-results', *sys.argv[1:]]))
