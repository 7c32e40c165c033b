#!/usr/bin/env python
"""Show runs side by side: python tools/show_results.py work_dirs/demo docs/results/demo_*.json"""

import argparse
import sys


def parse_args():
    parser = argparse.ArgumentParser(
        description='Prints the scores of finished training runs of one benchmark side by side, '
        'and what trained each. Runs of one method with several seeds make one row. To train '
        'several and compare what they cost, too: tools/compare.py.'
    )
    parser.add_argument('run', nargs='+', help='folder of a run, or its results.json')
    parser.add_argument(
        '--metric', nargs='+', default=[], metavar='KEY', help='scores to show: mIoU, aAcc, ...'
    )
    return parser.parse_args()


def main():
    args = parse_args()
    from rein_seg.compare import show_results

    print(show_results(args.run, metrics=args.metric))


if __name__ == '__main__':
    from rein_seg.cli import run

    sys.exit(run(main))
