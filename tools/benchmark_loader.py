#!/usr/bin/env python
"""Times the loading of training images: plain mmseg's transforms against ours, in one run.

python tools/benchmark_loader.py --images 8 --repeats 5
"""

import argparse
import json
import sys


def parse_args():
    parser = argparse.ArgumentParser(
        description='Times what one worker of a loader does for gtav_to_urban: read, map, resize, '
        "crop, distort. mmseg's transforms on labels already converted, mmseg's mapping raw ids, "
        'ours on raw ids, and ours with decoded copies, compressed and raw, in turn; checks that '
        'all make the same output. Prints images/s, ratios to mmseg, ms of each step, and the '
        'share of the mapping.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--images', type=int, default=8, help='images a round')
    parser.add_argument('--repeats', type=int, default=5, help='timed rounds')
    parser.add_argument(
        '--size', type=int, nargs=2, default=[1914, 1052], help='width and height of drawn images'
    )
    parser.add_argument('--crop', type=int, default=512, help='side of the crop in pixels')
    parser.add_argument('--data-root', help='folder with gta/ in it, instead of drawn images')
    parser.add_argument('--json', metavar='FILE', help='write the figures here, too')
    return parser.parse_args()


def main():
    args = parse_args()
    import rein_seg.apis  # noqa: F401  registers everything
    from rein_seg.bench.loader import benchmark_loader
    from rein_seg.checkpoint import write_json

    figures = benchmark_loader(
        images=args.images,
        repeats=args.repeats,
        size=args.size,
        crop=args.crop,
        data_root=args.data_root,
        report=print,
    )
    if args.json:
        write_json(args.json, figures)
    print(json.dumps(figures, indent=2))


if __name__ == '__main__':
    from rein_seg.cli import run

    sys.exit(run(main))
