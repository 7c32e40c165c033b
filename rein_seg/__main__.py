"""``python -m rein_seg COMMAND``: the same as ``rein-seg COMMAND``."""

import sys

from rein_seg.cli import main

if __name__ == '__main__':
    sys.exit(main())
